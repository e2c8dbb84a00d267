"""How large a network a Hugging Face folder may describe: its weights have to fill it.

transformers builds a network by config.json, without memory for its numbers, and then makes up those that the weights
lack. Ones of a size that the weights have nothing of would take all memory there is, and layers without end all time.
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

# A network may have this many times what is in the files, for weights that are stored once and used twice, and more:
# heads that are missing, which has a message of its own, and masks and positions, which are not stored.
SHARED = 4
SPARE_NUMBERS, SPARE_TENSORS = 1 << 26, 1000


@contextmanager
def bounded(folder: Path) -> Iterator[None]:
    """Raises UnsafeFile as soon as a network that is built within is too large for the folder's weights."""
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
                    f"config.json describes a far larger model than the weights are, which hold {held} numbers "
                    f"in {len(shapes)} tensors: too much at {type(owner).__name__}.{name}"
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
