"""A frozen model answers as the model does, or is not used."""

import math

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from handlers.acceleration.equivalence import max_relative_error
from handlers.acceleration.torchscript import freeze
from handlers.networks.normalised import Normalised
from handlers.vision.transform import ImageTransform

EXAMPLE = torch.rand(1, 3, 64, 64)


def test_frozen_equals_eager_at_other_batch_sizes() -> None:
    model = Normalised(mobilenet_v2(weights=None, num_classes=5), ImageTransform(resize=64)).eval()
    example = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    frozen = freeze(model, example)
    assert isinstance(frozen, torch.jit.ScriptModule)
    images = torch.randint(0, 256, (7, 3, 64, 64), dtype=torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(frozen(images), model(images), atol=1e-4, rtol=1e-4)


class Branching(nn.Module):
    """Does something else for bright images: a trace would keep one branch for good."""

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (images.sum((2, 3)) if float(images.mean()) > 0.45 else -images.sum((2, 3)),)


def test_a_model_that_a_trace_would_change_stays_as_it_is() -> None:
    model = Branching().eval()
    assert freeze(model, EXAMPLE) is model


class Untraceable(nn.Module):
    def forward(self, images: Tensor) -> list[object]:
        return [object(), images]


def test_a_model_that_cannot_be_traced_stays_as_it_is() -> None:
    model = Untraceable().eval()
    assert freeze(model, EXAMPLE) is model


class Short(nn.Module):
    """Knows fewer positions than it is asked for, as an embedding says it."""

    def forward(self, images: Tensor) -> tuple[Tensor]:
        raise IndexError("index out of range in self")


def test_a_model_that_refuses_the_example_stays_as_it_is() -> None:
    model = Short().eval()
    assert freeze(model, EXAMPLE) is model


@pytest.mark.parametrize("place", [0, 1])
def test_what_is_no_number_differs_wherever_it_stands(place: int) -> None:
    wanted = [torch.zeros(1, 2), torch.zeros(1, 2)]
    found = [torch.zeros(1, 2), torch.zeros(1, 2)]
    found[place][0, 1] = torch.nan
    assert max_relative_error(found, wanted) == math.inf


def test_large_outputs_are_compared_by_their_size() -> None:
    wanted = (torch.tensor([[0.0, 1500.0]]), torch.tensor([[0.1]]))
    found = (torch.tensor([[0.3, 1500.0]]), torch.tensor([[0.1004]]))
    assert abs(max_relative_error(found, wanted) - 0.0004) < 1e-6  # 0.3 of 1500 is less
