"""Converts NumPy arrays and torch tensors to NumPy arrays and to JSON numbers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

NUMBERS = "biuf"  # numpy's kinds


def is_of(value: object, module: str, name: str) -> bool:
    """Whether a value is an instance of a library's class. If so, the library is already imported."""
    loaded = sys.modules.get(module)
    return isinstance(value, getattr(loaded, name, ()))


def is_tensor(value: object) -> bool:
    return is_of(value, "torch", "Tensor")


def is_array(value: object) -> bool:
    """Whether the value is a NumPy array or scalar, or a torch tensor."""
    return is_tensor(value) or is_of(value, "numpy", "ndarray") or is_of(value, "numpy", "generic")


def array_of(value: Any) -> NDArray[Any]:
    """Convert to a NumPy array, sharing memory if possible. Raises ValueError for anything but plain numbers."""
    import numpy as np

    if is_tensor(value):
        return from_tensor(value)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError("the array has masked values; fill them in")
    return np.asarray(value)


def from_tensor(tensor: Tensor) -> NDArray[Any]:
    """Convert a tensor of any device and strides, with or without gradients; dtypes unknown to NumPy become float32."""
    import torch

    if tensor.layout is not torch.strided or tensor.is_nested:
        raise ValueError("the tensor is sparse or nested; wanted a dense one")
    if tensor.is_quantized or tensor.is_meta:
        raise ValueError(
            f"the tensor is {'quantized' if tensor.is_quantized else 'without data'}; wanted plain numbers"
        )
    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    if plain.is_floating_point() and plain.dtype not in (torch.float16, torch.float32, torch.float64):
        plain = plain.float()
    found: NDArray[Any] = plain.numpy()
    return found


def numbers(value: Any) -> Any:
    """Convert to JSON: nested lists of numbers or a single number; True and False become 1 and 0.

    Raises ValueError for other types, for NaN and infinities, which JSON cannot represent, and for empty arrays.
    """
    import numpy as np

    array = array_of(value)
    if array.dtype.kind not in NUMBERS:
        raise ValueError(f"the array has the dtype {array.dtype}; wanted numbers")
    if array.size == 0:
        raise ValueError(f"the array of shape {list(array.shape)} is empty")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        place = "".join(f"[{index}]" for index in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(
            f"the array has {array[~np.isfinite(array)][0]} at {place or 'its only position'}; wanted finite numbers"
        )
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    # Python has no floats with more than 64 bits.
    return (array.astype(np.float64) if array.dtype.itemsize > 8 else array).tolist()
