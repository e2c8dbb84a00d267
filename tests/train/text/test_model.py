"""The head that pools and classifies, against its definition."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification, BertModel

from handlers.networks.mean_pooling import MeanPoolingClassifier
from tests.tiny_texts import bert, named


@pytest.fixture
def encoder() -> BertModel:
    torch.manual_seed(0)
    return BertModel(bert(100))


@pytest.fixture
def head(encoder: BertModel) -> MeanPoolingClassifier:
    model = MeanPoolingClassifier.of(encoder, 16, **named(["a", "b", "c"])).eval()
    for name in ("head.1.weight", "head.4.weight"):
        torch.nn.init.normal_(model.get_parameter(name))  # answers that differ from text to text
    return model


def padded(ids: torch.Tensor, length: int) -> dict[str, torch.Tensor]:
    """A text's ids with other tokens behind them, which the mask hides."""
    filler = torch.randint(1, 100, (1, length - ids.shape[1]))
    mask = torch.cat([torch.ones_like(ids), torch.zeros_like(filler)], dim=1)
    return {"input_ids": torch.cat([ids, filler], dim=1), "attention_mask": mask}


@torch.inference_mode()
def test_padding_changes_nothing(head: MeanPoolingClassifier) -> None:
    texts = [torch.randint(1, 100, (1, length)) for length in (1, 5, 17, 40)]
    alone = [head(input_ids=ids).logits for ids in texts]
    together = [padded(ids, 64) for ids in texts]
    batch = {key: torch.cat([each[key] for each in together]) for key in together[0]}
    # Logits here reach 12, where float32 has steps of 1e-6.
    torch.testing.assert_close(head(**batch).logits, torch.cat(alone), atol=1e-5, rtol=1e-5)
    assert (torch.cat(alone).diff(dim=0).abs().max(dim=1).values > 1e-2).all()


def test_the_head_returns_loss_logits_and_hidden_states(head: MeanPoolingClassifier) -> None:
    ids, labels = torch.randint(1, 100, (4, 9)), torch.tensor([0, 2, 1, 0])
    found = head(input_ids=ids, labels=labels, output_hidden_states=True)
    assert found.logits.shape == (4, 3)
    assert len(found.hidden_states) == 3  # embeddings and two layers
    torch.testing.assert_close(found.loss, F.cross_entropy(found.logits, labels))
    torch.testing.assert_close(found.logits, head.head(found.hidden_states[-1].mean(dim=1)))
    [last] = head(input_ids=ids).hidden_states
    torch.testing.assert_close(last, found.hidden_states[-1])


def test_several_labels_have_a_loss_each(encoder: BertModel) -> None:
    model = MeanPoolingClassifier.of(encoder, problem_type="multi_label_classification", **named(["a", "b"])).eval()
    labels = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    found = model(input_ids=torch.randint(1, 100, (2, 9)), labels=labels)
    expected = -(labels * F.logsigmoid(found.logits) + (1 - labels) * F.logsigmoid(-found.logits)).mean()
    torch.testing.assert_close(found.loss, expected)


def test_a_saved_head_loads_without_code_of_its_own(head: MeanPoolingClassifier, tmp_path: Path) -> None:
    head.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.py"))
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path, trust_remote_code=False, use_safetensors=True)
    assert isinstance(again, MeanPoolingClassifier)
    ids = torch.randint(1, 100, (2, 9))
    assert torch.equal(again(input_ids=ids).logits, head(input_ids=ids).logits)


def test_gradient_checkpointing_gives_the_same_gradients(head: MeanPoolingClassifier) -> None:
    ids, labels = torch.randint(1, 100, (4, 9)), torch.tensor([0, 2, 1, 0])

    def gradients() -> list[torch.Tensor]:
        head.train()
        torch.manual_seed(1)
        head.zero_grad()
        head(input_ids=ids, labels=labels).loss.backward()
        return [p.grad.clone() for p in head.parameters() if p.grad is not None]

    plain = gradients()
    head.gradient_checkpointing_enable()
    assert head.is_gradient_checkpointing
    for one, other in zip(plain, gradients(), strict=True):
        torch.testing.assert_close(one, other)
