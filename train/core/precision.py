"""The number type in which a network is trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator

# Other spellings → the setting's: Lightning's, and the integers that YAML reads.
SPELLINGS = {32: "32", 16: "fp16", "32-true": "32", "16": "fp16", "16-mixed": "fp16", "bf16-mixed": "bf16"}


def spelled(value: Any) -> Any:
    return SPELLINGS.get(value, value) if isinstance(value, int | str) else value


# bf16 and fp16 are mixed precision: the weights stay in float32.
Precision = Annotated[Literal["bf16", "fp16", "32"], BeforeValidator(spelled)]


def native_precision(gpu: bool = True) -> Precision:
    """bf16 if the device supports it natively, otherwise float32, which is faster than emulated bfloat16.

    gpu: whether the training uses a GPU if there is one.
    """
    if gpu and torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    return "bf16" if native else "32"
