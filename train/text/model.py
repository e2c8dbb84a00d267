"""The model of a text classifier: pretrained, from the hub or a folder, or a small one to train from scratch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from huggingface_hub.errors import HfHubHTTPError
from pydantic import Field
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    ModernBertConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from handlers.networks.mean_pooling import MULTI_LABEL, MeanPoolingClassifier
from handlers.networks.positions import max_tokens
from train.core.config import ExperimentError, StrictModel
from train.text.subwords import as_pretrained, learn_subwords

Head = Literal["auto", "mean-pooling"]


class Scratch(StrictModel):
    """A ModernBERT with random weights, and subwords learned from the training texts, for unusual data."""

    vocabulary: int = Field(default=4000, ge=300, le=1 << 20, description="number of subwords")
    hidden: int = Field(default=128, ge=32, le=16_384, multiple_of=32, description="size of a token's hidden state")
    layers: int = Field(default=2, ge=1, le=256)
    window: int | None = Field(
        default=None, ge=2, description="width of the attention window in tokens; by default the whole text"
    )
    dropout: float = Field(default=0.1, ge=0, lt=1)
    subword_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of subword merges skipped at random in training (BPE-dropout)"
    )

    @property
    def attention(self) -> dict[str, Any]:
        """ModernBERT's configuration for `window`."""
        if self.window is None:
            return {"layer_types": ["full_attention"] * self.layers}
        return {"layer_types": ["sliding_attention"] * self.layers, "local_attention": self.window}


def tokenizer_of(source: str | Scratch, revision: str, texts: Iterable[str], max_length: int) -> Any:
    """The tokenizer of a pretrained model, or one learned from `texts` for a model from scratch.

    source, revision: see `TextClassification.model`. max_length: in tokens. Raises ExperimentError if the tokenizer
    cannot be loaded or cannot pad.
    """
    if isinstance(source, Scratch):
        return as_pretrained(learn_subwords(texts, source.vocabulary), max_length)
    tokenizer = pretrained(AutoTokenizer, source, revision)
    if tokenizer.pad_token is None:
        raise ExperimentError(f"model: the tokenizer of {source} has no padding token, so texts cannot be batched")
    return tokenizer


def model_of(
    source: str | Scratch,
    revision: str,
    head: Head,
    tokenizer: PreTrainedTokenizerBase,
    labels: Sequence[str],
    multi_label: bool,
    max_length: int,
) -> PreTrainedModel:
    """A classifier with random weights in its head, or in the whole model if it is to be trained from scratch.

    labels: the classes, by their index. max_length: in tokens. The other arguments are settings of
    `TextClassification`. Raises ExperimentError if the model cannot be loaded or cannot read max_length tokens.
    """
    named: dict[str, Any] = {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
        "problem_type": MULTI_LABEL if multi_label else "single_label_classification",
    }
    if isinstance(source, Scratch):
        configuration = scratch_config(source, len(tokenizer), max_length)
        if head == "mean-pooling":
            encoder = AutoModel.from_config(configuration)
            return MeanPoolingClassifier.of(encoder, dropout=source.dropout, **named)
        for name, value in named.items():
            setattr(configuration, name, value)
        return AutoModelForSequenceClassification.from_config(configuration)
    longest = max_tokens(pretrained(AutoConfig, source, revision).to_dict())
    if longest is not None and max_length > longest:
        raise ExperimentError(f"max_length: got {max_length}; {source} reads at most {longest} tokens")
    if head == "mean-pooling":
        return MeanPoolingClassifier.of(pretrained(AutoModel, source, revision), **named)
    # The checkpoint's own head may be for other classes.
    return pretrained(AutoModelForSequenceClassification, source, revision, ignore_mismatched_sizes=True, **named)


def scratch_config(scratch: Scratch, vocabulary: int, max_length: int) -> ModernBertConfig:
    return ModernBertConfig(
        vocab_size=vocabulary,
        hidden_size=scratch.hidden,
        intermediate_size=2 * scratch.hidden,
        num_hidden_layers=scratch.layers,
        num_attention_heads=scratch.hidden // 32,
        max_position_embeddings=max_length,
        **scratch.attention,
        classifier_pooling="mean",
        pad_token_id=0,
        eos_token_id=None,
        sep_token_id=None,
        bos_token_id=None,
        cls_token_id=None,
        embedding_dropout=scratch.dropout,
        classifier_dropout=scratch.dropout,
        # ModernBERT's default of 0.02 is for layers six times as wide; a narrow network learns slowly with it.
        initializer_range=0.05,
        initializer_cutoff_factor=3.0,
    )


def pretrained(auto: Any, source: str, revision: str, **options: Any) -> Any:
    """Load with an Auto class of transformers, only from safetensors and without code from the hub.

    source: a repository on the hub, or a folder. Raises ExperimentError if it cannot be loaded.
    """
    if auto not in (AutoTokenizer, AutoConfig):
        options["use_safetensors"] = True
    try:
        return auto.from_pretrained(
            source, revision=revision, local_files_only=Path(source).is_dir(), trust_remote_code=False, **options
        )
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise ExperimentError(f"model: {source} cannot be loaded: {str(error).splitlines()[0]}") from None
