"""The arithmetic of a model on a GPU: the fastest that leaves its answers as they are."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from handlers.acceleration.equivalence import mismatch, probe_inputs
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
)
AUTOCAST = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


class InPrecision(nn.Module):
    """A module under autocast, which keeps softmax, norms and sums in float32. Its outputs are float32."""

    def __init__(self, module: nn.Module, precision: Precision) -> None:
        super().__init__()
        self.module = module
        self.precision = precision

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        dtype = self.precision.dtype
        with torch.autocast(inputs.device.type, dtype or torch.float16, enabled=dtype is not None, cache_enabled=False):
            outputs = self.module(inputs)
        return tuple(part.float() if part.is_floating_point() else part for part in outputs)


@torch.no_grad()
def in_fastest_precision(module: nn.Module, example: Tensor) -> InPrecision:
    """`module` in the first of CANDIDATES that answers as float32 does, else in float32; the reasons are logged.

    module: answers with a tuple of tensors. example: an input of batch size 1, on its device. TF32 is a switch of the
    whole process: a worker serves one model.
    """
    inputs = probe_inputs(example)
    allow_tf32(FLOAT32.tf32)
    wanted = [InPrecision(module, FLOAT32)(part) for part in inputs]
    for precision in CANDIDATES:
        allow_tf32(precision.tf32)
        candidate = InPrecision(module, precision)
        try:
            problem = next(filter(None, map(mismatch, map(candidate, inputs), wanted)), "")
        except (RuntimeError, TypeError, ValueError) as error:
            if is_poisoned(error):
                raise
            problem = str(error).partition("\n")[0] or type(error).__name__
        if not problem:
            logger.info("the model runs in %s", precision.name)
            store_weights(module, precision.dtype)
            return candidate
        logger.warning("the model does not run in %s: %s", precision.name, problem)
    allow_tf32(FLOAT32.tf32)
    return InPrecision(module, FLOAT32)


def store_weights(module: nn.Module, dtype: torch.dtype | None) -> None:
    """Round the weights once that autocast would otherwise round at every call: the same arithmetic, half the memory.

    Only of layers that own theirs: a weight that another layer uses as well stays as it is.
    """
    if dtype is None:
        return
    owners: dict[int, int] = {}
    for part in module.modules():
        for parameter in part.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    for layer in module.modules():
        if type(layer) in AUTOCAST:
            for parameter in layer.parameters(recurse=False):
                if owners[id(parameter)] == 1:
                    parameter.data = parameter.data.to(dtype)


def allow_tf32(allowed: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed
