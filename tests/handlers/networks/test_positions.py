"""The longest text of a model, against the model itself."""

import pytest
import torch
from transformers import AutoConfig, AutoModel

from handlers.networks.mean_pooling import MeanPoolingClassifier
from handlers.networks.positions import FROM_PADDING, max_tokens

SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 24,
}
OTHERS = {"bert", "distilbert", "electra", "deberta-v2", "opt", "gpt2"}


# Longformer pads to its window by itself, and X-MOD wants a language first.
@torch.inference_mode()
@pytest.mark.parametrize("kind", sorted((FROM_PADDING | OTHERS) - {"xmod", "longformer"}))
def test_the_longest_text_fits_and_one_token_more_does_not(kind: str) -> None:
    configuration = AutoConfig.for_model(kind, **SIZES)
    model = AutoModel.from_config(configuration).eval()
    longest = max_tokens(configuration.to_dict())
    assert longest is not None
    ids = torch.full((1, longest + 1), 7)
    model(input_ids=ids[:, :-1], attention_mask=torch.ones(1, longest, dtype=torch.long))
    with pytest.raises((RuntimeError, IndexError)):
        model(input_ids=ids, attention_mask=torch.ones_like(ids))


def test_a_padding_id_of_its_own_moves_the_positions() -> None:
    configuration = AutoConfig.for_model("roberta", **SIZES, pad_token_id=3)
    assert max_tokens(configuration.to_dict()) == 20
    assert max_tokens({"model_type": "roberta", "max_position_embeddings": 514}) == 512
    assert max_tokens({"model_type": "t5"}) is None


def test_mean_pooling_reads_what_its_encoder_reads() -> None:
    encoder = AutoModel.from_config(AutoConfig.for_model("roberta", **SIZES))
    assert max_tokens(MeanPoolingClassifier.of(encoder).config.to_dict()) == 22
