"""A frozen model answers as the model does, or is not used."""

import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from handlers.freezing import freeze

EXAMPLE = torch.rand(1, 3, 64, 64)


def test_frozen_equals_eager_at_other_batch_sizes() -> None:
    model = mobilenet_v2(weights=None, num_classes=5).eval()
    frozen = freeze(model, EXAMPLE)
    assert isinstance(frozen, torch.jit.ScriptModule)
    images = torch.rand(7, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(frozen(images), model(images), atol=1e-4, rtol=1e-4)


class Branching(nn.Module):
    """Does something else for bright pictures: a trace would keep one branch for good."""

    def forward(self, images: Tensor) -> Tensor:
        return images.sum((2, 3)) if float(images.mean()) > 0.45 else -images.sum((2, 3))


def test_a_model_that_a_trace_would_change_stays_as_it_is() -> None:
    model = Branching().eval()
    assert freeze(model, EXAMPLE) is model


class Untraceable(nn.Module):
    def forward(self, images: Tensor) -> list[object]:
        return [object(), images]


def test_a_model_that_cannot_be_traced_stays_as_it_is() -> None:
    model = Untraceable().eval()
    assert freeze(model, EXAMPLE) is model
