"""Half precision, and when it is used."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from handlers.acceleration.equivalence import by_norm, mismatch
from handlers.acceleration.fusion import FusedConvolution
from handlers.acceleration.precision import (
    CANDIDATES,
    InPrecision,
    in_fastest_precision,
    store_weights,
)
from tests.handlers.acceleration.network import EXAMPLE, Tupled, check_equal, images, network


@torch.inference_mode()
def test_rows_differ_by_more_than_they_are_compared_to() -> None:
    (answers,) = network()(images(12))
    apart = torch.cdist(answers, answers) + torch.eye(12) * 1e9
    assert (apart.min(dim=1).values > 0.06 * answers.norm(dim=1)).all()


@torch.inference_mode()
def test_half_precision_is_within_the_comparison() -> None:
    (wanted,) = network()(images(12))
    check_equal(InPrecision(network(), CANDIDATES[0])(images(12))[0], wanted)


@torch.no_grad()
def test_float16_answers_as_float32_and_its_weights_are_stored_so() -> None:
    module = network()
    wanted = module(images(3))
    fast = in_fastest_precision(module, EXAMPLE)
    assert fast.precision.dtype is torch.float16
    stored = {name: parameter.dtype for name, parameter in fast.named_parameters()}
    assert stored["module.network.fc.weight"] is torch.float16
    assert fast.form == "float16, fused"
    fused = [part for part in fast.modules() if isinstance(part, FusedConvolution)]
    assert len(fused) == 9
    assert all(part.weight.dtype is torch.float16 for part in fused)
    found = fast(images(3))
    assert [part.dtype for part in found] == [torch.float32]
    assert mismatch(found, wanted) == ""


class Huge(nn.Module):
    """Passes through values beyond float16, which end at 65504, but not beyond bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.grow, self.shrink = nn.Linear(3, 4), nn.Linear(4, 2)
        nn.init.constant_(self.grow.weight, 1e5)
        nn.init.constant_(self.shrink.weight, 1e-5)
        nn.init.zeros_(self.grow.bias)
        nn.init.zeros_(self.shrink.bias)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        return (self.shrink(self.grow(inputs)),)


class Sharp(nn.Module):
    """Its answer is the last bits of a sum, which no shorter type holds."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = nn.Linear(3, 1)
        nn.init.constant_(self.sum.weight, 1.0)
        nn.init.zeros_(self.sum.bias)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        return ((self.sum(inputs + 1000) - 3000).reshape(-1),)


@torch.no_grad()
def test_a_module_that_cannot_be_fused_is_judged_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """As is one whose fused form answers otherwise."""
    assert in_fastest_precision(Tupled(nn.Linear(3, 2)), torch.rand(1, 3)).form == "float16"
    calls = []

    def judge(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> str:
        calls.append(found)
        return "it is the first" if len(calls) == 1 else by_norm(found, wanted)

    module = network()
    fast = in_fastest_precision(module, EXAMPLE, judge)
    assert fast.form == "float16"
    assert fast.module is module
    weights = dict(module.named_parameters())
    assert weights["network.conv1.weight"].dtype is torch.float16
    assert weights["network.bn1.weight"].dtype is torch.float32
    assert "does not run in float16, fused: it is the first" in caplog.text


@torch.no_grad()
@pytest.mark.parametrize(("module", "name"), [(Huge(), "bfloat16"), (Sharp(), "TF32")])
def test_a_precision_that_changes_the_answers_is_not_used(
    module: nn.Module, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    wanted = module(inputs)
    fast = in_fastest_precision(module, inputs[:1])
    assert fast.precision.name == name  # on a CPU TF32 is float32
    assert "does not run in float16" in caplog.text
    assert mismatch(fast(inputs), wanted) == ""


class Failing(nn.Module):
    """Runs in no autocast, as a module that names its own types may not."""

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError("expected Float but found Half")
        return (inputs.sum(1),)


@torch.no_grad()
def test_a_model_that_no_autocast_runs_stays_float32() -> None:
    assert in_fastest_precision(Failing(), torch.rand(1, 3)).precision.dtype is None


class Lost(nn.Module):
    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        if torch.is_autocast_enabled("cpu"):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return (inputs.sum(1),)


def lost() -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_a_lost_device_is_no_question_of_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lost)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        in_fastest_precision(Lost(), torch.rand(1, 3))


class Refused(nn.Module):
    """As on a GPU whose cuBLAS has no kernel for bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.sum = Sharp()

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        if torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") is torch.bfloat16:
            raise RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmEx`")
        return tuple(self.sum(inputs))


@torch.no_grad()
def test_a_type_that_the_device_refuses_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)  # it answers
    assert in_fastest_precision(Refused(), torch.rand(1, 3)).precision.name == "TF32"
    assert "does not run in bfloat16: CUDA error: CUBLAS_STATUS_NOT_SUPPORTED" in caplog.text


class Tied(nn.Module):
    """Its head's weight is the embedding's."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.own, self.head = nn.Embedding(4, 3), nn.Linear(3, 3), nn.Linear(3, 4, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> tuple[Tensor]:
        return (self.head(self.own(self.embedding(tokens))).mean(1),)


@torch.no_grad()
def test_a_weight_of_two_layers_stays_as_it_is() -> None:
    module = Tied()
    assert in_fastest_precision(module, torch.tensor([[0, 1, 2, 3]])).form == "float16"
    assert module.embedding.weight.dtype is torch.float32
    assert module.own.weight.dtype is module.own.bias.dtype is torch.float16


class Towers(nn.Module):
    """Answers by one of two layers; the other is called elsewhere, outside of autocast."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        return (self.one(inputs),)


@torch.no_grad()
def test_a_layer_that_is_not_called_stays_as_it_is() -> None:
    module = Towers()
    assert in_fastest_precision(module, torch.rand(1, 3)).form == "float16"
    assert module.one.weight.dtype is torch.float16
    assert module.other(torch.rand(1, 3)).dtype is torch.float32


class Reused(nn.Module):
    """Does more with a weight than to call its layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        if self.layer.weight.dtype is not torch.float32:
            raise RuntimeError("expected Float but found Half")
        return (self.layer(inputs) + self.layer.weight.sum(),)


@torch.no_grad()
def test_weights_that_are_more_than_a_layer_s_are_rounded_at_every_call(caplog: pytest.LogCaptureFixture) -> None:
    module = Reused()
    inputs = torch.rand(2, 3)
    wanted = module(inputs)
    weight = module.layer.weight.clone()
    fast = in_fastest_precision(module, inputs[:1])
    assert fast.form == "float16"
    assert "rounded once, expected Float but found Half" in caplog.text
    assert torch.equal(module.layer.weight, weight)
    assert mismatch(fast(inputs), wanted) == ""


@torch.no_grad()
def test_rounding_the_weights_first_changes_nothing() -> None:
    inputs = torch.rand(2, 3, 9, 9)
    fast = InPrecision(Tupled(nn.Conv2d(3, 4, 3)), CANDIDATES[0])
    (before,) = fast(inputs)
    store_weights(fast, [inputs], [(before,)], mismatch)
    assert all(parameter.dtype is torch.float16 for parameter in fast.parameters())
    assert torch.equal(fast(inputs)[0], before)
