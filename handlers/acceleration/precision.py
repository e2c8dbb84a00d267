"""The arithmetic of a model on a GPU: the fastest that leaves its answers as they are."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from handlers.acceleration.equivalence import Judge, mismatch, probe_inputs
from handlers.acceleration.fusion import FusedConvolution, fused
from handlers.batching.isolation import is_poisoned

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Precision:
    """dtype: of autocast's matrix products and convolutions; None for float32. tf32: whether those that stay float32
    may drop 13 bits of their mantissa, as tensor cores do (TF32)."""

    name: str
    dtype: torch.dtype | None
    tf32: bool


FLOAT32 = Precision("float32", None, False)
# float16 before bfloat16: both run at the same speed, and without gradients, which need bfloat16's range, eleven bits
# of mantissa instead of eight leave a tenth of the error. A model whose activations pass 65504 takes bfloat16.
CANDIDATES = (
    Precision("float16", torch.float16, True),
    Precision("bfloat16", torch.bfloat16, True),
    Precision("TF32", None, True),
    FLOAT32,
)
AUTOCAST = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, FusedConvolution)
FUSED = ", fused"


class InPrecision(nn.Module):
    """A module under autocast, which keeps softmax, norms and sums in float32. Its outputs are float32.

    form: what a worker says of it.
    """

    def __init__(self, module: nn.Module, precision: Precision, form: str = "") -> None:
        super().__init__()
        self.module = module
        self.precision = precision
        self.form = (weights_type(module) if precision is FLOAT32 else precision.name) + form

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        dtype = self.precision.dtype
        with torch.autocast(inputs.device.type, dtype or torch.float16, enabled=dtype is not None, cache_enabled=False):
            outputs = self.module(inputs)
        return tuple(part.float() if part.is_floating_point() else part for part in outputs)


def weights_type(module: nn.Module) -> str:
    """Without autocast a network computes in it."""
    dtypes = (parameter.dtype for parameter in module.parameters() if parameter.is_floating_point())
    return str(next(dtypes, torch.float32)).removeprefix("torch.")


@torch.no_grad()
def in_fastest_precision(module: nn.Module, example: Tensor, judge: Judge = mismatch) -> InPrecision:
    """`module` in the first of CANDIDATES that answers as float32 does; the reasons are logged.

    Of each, the form with its convolutions fused comes first: rounded in other places, it may differ where the module
    itself does not. module: answers with a tuple of tensors. example: an input of batch size 1, on its device. TF32 is
    a switch of the whole process: a worker serves one model.
    """
    inputs = probe_inputs(example)
    allow_tf32(FLOAT32.tf32)
    wanted = [InPrecision(module, FLOAT32)(part) for part in inputs]
    fusion = fused(module)
    for precision in CANDIDATES:
        allow_tf32(precision.tf32)
        fast = [InPrecision(fusion, precision, FUSED)] if fusion is not None else []
        for candidate in (*fast, InPrecision(module, precision)):
            problem = problem_of(candidate, inputs, wanted, judge)
            if not problem:
                logger.info("the model runs in %s", candidate.form)
                store_weights(candidate, inputs, wanted, judge)
                return candidate
            logger.warning("the model does not run in %s: %s", candidate.form, problem)
    return InPrecision(module, FLOAT32)


def problem_of(candidate: InPrecision, inputs: list[Tensor], wanted: list[tuple[Tensor, ...]], judge: Judge) -> str:
    """How its answers differ, or the error it ends with."""
    try:
        return next(filter(None, map(judge, map(candidate, inputs), wanted)), "")
    except (RuntimeError, TypeError, ValueError) as error:
        if is_poisoned(error):
            raise
        return str(error).partition("\n")[0] or type(error).__name__


def store_weights(candidate: InPrecision, inputs: list[Tensor], wanted: list[tuple[Tensor, ...]], judge: Judge) -> None:
    """Round the weights once that autocast would otherwise round at every call: the same arithmetic, half the memory.

    A module that does more with a weight than to call its layer keeps all of them as they are.
    """
    dtype = candidate.precision.dtype
    if dtype is None:
        return
    before = {parameter: parameter.data for parameter in owned(candidate, called(candidate, inputs[0]))}
    for parameter in before:
        parameter.data = parameter.data.to(dtype)
    problem = problem_of(candidate, inputs, wanted, judge)
    if problem:
        logger.warning("the weights are rounded at every call: rounded once, %s", problem)
        for parameter, data in before.items():
            parameter.data = data


def called(module: nn.Module, inputs: Tensor) -> list[nn.Module]:
    """The layers of AUTOCAST's types that `inputs` pass. Others, as those of a second tower, run outside of autocast if
    they run at all."""
    found: dict[nn.Module, None] = {}
    layers = [layer for layer in module.modules() if type(layer) in AUTOCAST]
    hooks = [layer.register_forward_pre_hook(lambda layer, _: found.update({layer: None})) for layer in layers]
    try:
        module(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return list(found)


def owned(module: nn.Module, layers: list[nn.Module]) -> list[nn.Parameter]:
    """The parameters of these layers that no other part of the module has as well."""
    owners: dict[nn.Parameter, int] = {}
    for part in module.modules():
        for parameter in part.parameters(recurse=False):
            owners[parameter] = owners.get(parameter, 0) + 1
    return [each for layer in layers for each in layer.parameters(recurse=False) if owners[each] == 1]


def allow_tf32(allowed: bool) -> None:
    """By the switches that torch had first: after one of `fp32_precision`'s, reading these is an error, as other
    libraries do."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed
