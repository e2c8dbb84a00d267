"""Limits the size of the network that a Hugging Face folder describes: its weights have to fill it.

transformers builds a network from config.json, without memory for its numbers, and then makes up those that the weights
lack. Tensors far larger than the weights would take all memory, and endless layers would never be finished.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handlers.formats import safetensors
from handlers.formats.errors import UnsafeFile

if TYPE_CHECKING:
    from torch import Tensor, nn

# A network may have this many times the numbers in the files, because weights can be stored once and used twice, and
# some more: for missing heads, which are reported elsewhere, and for masks and positions, which are not stored.
SHARED = 4
SPARE_NUMBERS, SPARE_TENSORS = 1 << 26, 1000


@contextmanager
def bounded(folder: Path) -> Iterator[None]:
    """Within it, building a network that is too large for the folder's weights raises UnsafeFile at once."""
    from torch.nn.modules import module

    shapes = [shape for file in sorted(folder.glob("*.safetensors")) for shape in safetensors.header(file).values()]
    held = sum(map(math.prod, shapes))
    numbers, tensors = SHARED * held + SPARE_NUMBERS, SHARED * len(shapes) + SPARE_TENSORS

    def count(owner: nn.Module, name: str, tensor: Tensor | None) -> Any:
        nonlocal numbers, tensors
        if tensor is not None and tensor.is_meta:
            numbers, tensors = numbers - tensor.numel(), tensors - 1
            if numbers < 0 or tensors < 0:
                raise UnsafeFile(
                    f"config.json describes a far larger model than the weights, which hold {held} numbers in "
                    f"{len(shapes)} tensors: the limit is exceeded at {type(owner).__name__}.{name}"
                )

    handles = (
        module.register_module_parameter_registration_hook(count),
        module.register_module_buffer_registration_hook(count),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
