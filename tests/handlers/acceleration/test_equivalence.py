"""When outputs are still a model's: by norms, by probabilities along the right dimension, by labels of pixels."""

import pytest
import torch
from torch import Tensor

from handlers.acceleration.equivalence import (
    PROBABILITY,
    SHARE,
    by_labels,
    by_norm,
    by_probabilities,
    mismatch,
)

GENERATOR = torch.Generator().manual_seed(0)


def test_agreement_is_of_probabilities_and_of_norms() -> None:
    logits = torch.tensor([[2.0, 1.0, -3.0], [0.0, 0.5, 0.1]])
    assert mismatch([logits], [logits]) == ""
    assert mismatch([logits * 1.002], [logits]) == ""
    assert "would differ by" in mismatch([logits * 1.02], [logits])
    large = torch.tensor([[900.0, 900.0, 0.0]])
    moved = large + torch.tensor([[0.1, 0.0, 0.0]])  # a ten-thousandth of the norm, and 0.025 of a probability
    assert "probability" in mismatch([moved], [large])
    assert (moved.softmax(1) - large.softmax(1)).abs().max() > PROBABILITY
    assert mismatch([logits / 0], [logits])
    assert "shape" in mismatch([logits[:1]], [logits])
    assert "outputs" in mismatch([], [logits])


def test_the_classes_of_tokens_and_anchors_are_in_the_last_dimension() -> None:
    """Over the anchors, of which there are thousands, no probability is large enough to move."""
    logits = torch.randn(1, 3000, 3, generator=GENERATOR) * 8
    moved = logits.clone()
    moved[0, 7] = torch.tensor([8.0, 8.0, 0.0])
    expected = moved.clone()
    moved[0, 7, 0] += 0.2
    assert (moved.softmax(1) - expected.softmax(1)).abs().max() < PROBABILITY
    assert by_norm([moved], [expected]) == ""
    assert "a probability of output 0 would differ by 0.0" in mismatch([moved], [expected])


def test_an_embedding_or_a_value_is_not_read_as_logits() -> None:
    vectors = torch.tensor([[300.0, 299.5, -4.0]])
    moved = torch.tensor([[300.0, 300.5, -4.0]])
    assert "probability" in mismatch([moved], [vectors])
    assert by_norm([moved], [vectors]) == ""
    assert "2.00%" in by_norm([vectors * 1.02], [vectors])


def test_a_task_names_the_probabilities_of_its_answers() -> None:
    """Of one class, softmax always says 1."""
    logits = torch.tensor([[30.0], [0.0]])
    moved = logits + torch.tensor([[0.0], [0.1]])
    assert mismatch([moved], [logits]) == ""
    sigmoid = by_probabilities(lambda outputs: [outputs[0].sigmoid()])
    assert "a probability of output 0 would differ by 0.0250" in sigmoid([moved], [logits])
    first = by_probabilities(lambda outputs: [outputs[0].softmax(1)])
    values = torch.tensor([[100.0, 0.0]])
    assert first([logits, values * 1.005], [logits, values]) == ""


def label_logits(height: int = 200, width: int = 200) -> Tensor:
    """Of two classes, sure of each pixel."""
    labels = torch.rand(1, 1, height, width, generator=GENERATOR) > 0.5
    return torch.cat([labels, ~labels], dim=1).float() * 12 - 6


@pytest.mark.parametrize(("pixels", "agrees"), [(0, True), (1, True), (200, False)])
def test_a_few_pixels_may_change_their_class(pixels: int, agrees: bool) -> None:
    """Which a maximum over all of them would not let pass."""
    wanted = label_logits()
    found = wanted.clone()
    found.flatten(2)[..., :pixels] *= -0.001
    wanted.flatten(2)[..., :pixels] *= 0.001
    assert (by_labels([found], [wanted]) == "") is agrees
    assert (mismatch([found], [wanted]) == "") is agrees
    assert pixels / (200 * 200) <= SHARE or not agrees


def test_many_pixels_may_not_move_even_if_their_class_stays() -> None:
    wanted = torch.cat(
        [torch.full((1, 1, 50, 50), 1.0), torch.full((1, 1, 50, 50), 0.0), torch.full((1, 1, 50, 50), -90.0)], 1
    )
    found = wanted.clone()
    found[:, 0] += 0.2
    assert "probabilities of output 0 would differ" in by_labels([found], [wanted])


def test_what_is_not_a_number_never_agrees() -> None:
    wanted = label_logits(8, 8)
    for judge in (mismatch, by_norm, by_labels, by_probabilities(lambda outputs: [outputs[0].softmax(1)])):
        assert judge([wanted / 0 * 0], [wanted])
