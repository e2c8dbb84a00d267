"""Compares the tensors of two archives: which were added, removed, reshaped or changed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archiver.errors import Problem, VerificationError
from archiver.mar import Mar
from handlers.formats import safetensors, zip_file
from handlers.formats.errors import UnsafeFile

SUFFIX = ".safetensors"
CHUNK = 1 << 20  # elements compared at a time, which bounds the memory for their copies in double precision


@dataclass(frozen=True)
class Kind:
    """A tensor's type and shape. dtype: in safetensors' spelling, such as F16."""

    dtype: str
    shape: list[int]


@dataclass(frozen=True)
class Change:
    """A tensor of the same shape in both archives, but with other values or another type.

    elements: their number. max_abs_difference: over all elements, in double precision; NaN if an element is NaN in
    only one of the tensors, None if torch cannot convert the types.
    """

    before: Kind
    after: Kind
    elements: int
    max_abs_difference: float | None


@dataclass
class TensorDifference:
    """The differences by tensor name. unchanged: number of tensors that are the same to the bit."""

    added: dict[str, Kind] = field(default_factory=dict)
    removed: dict[str, Kind] = field(default_factory=dict)
    reshaped: dict[str, tuple[Kind, Kind]] = field(default_factory=dict)
    changed: dict[str, Change] = field(default_factory=dict)
    unchanged: int = 0


class Weights:
    """The open safetensors files of an archive. places: (file, name in the file) of each tensor."""

    def __init__(self, files: dict[str, Any]) -> None:
        self.places: dict[str, tuple[Any, str]] = {}
        for member, file in files.items():
            for tensor in file.keys():  # noqa: SIM118 - not a dict
                # Names are unique among the shards of a model, but not among several models in one archive.
                name = f"{member}:{tensor}" if tensor in self.places else tensor
                self.places[name] = (file, tensor)

    def kind(self, name: str) -> Kind:
        file, tensor = self.places[name]
        found = file.get_slice(tensor)
        return Kind(found.get_dtype(), list(found.get_shape()))

    def load(self, name: str) -> Any:
        file, tensor = self.places[name]
        return file.get_tensor(tensor)


def compare(before: Mar, after: Mar) -> TensorDifference:
    """Compare all tensors in safetensors files. Raises VerificationError if one of these files is broken.

    Uses torch, because NumPy lacks some of the types, such as BF16.
    """
    found = TensorDifference()
    with opened(before) as old, opened(after) as new:
        names = sorted(old.places.keys() | new.places.keys())
        for name in names:
            if name not in old.places:
                found.added[name] = new.kind(name)
            elif name not in new.places:
                found.removed[name] = old.kind(name)
            elif old.kind(name).shape != new.kind(name).shape:
                found.reshaped[name] = (old.kind(name), new.kind(name))
            else:
                change = difference(old, new, name)
                if change is None:
                    found.unchanged += 1
                else:
                    found.changed[name] = change
    return found


def difference(old: Weights, new: Weights, name: str) -> Change | None:
    """The change of a tensor of the same shape in both; None if it is the same to the bit."""
    import torch

    before, after = old.load(name).flatten(), new.load(name).flatten()
    kinds = old.kind(name), new.kind(name)
    if kinds[0] == kinds[1] and torch.equal(before.view(torch.uint8), after.view(torch.uint8)):
        return None
    most: float | None = 0.0
    try:
        for a, b in zip(before.split(CHUNK), after.split(CHUNK), strict=True):
            a, b = double(a), double(b)
            # Two infinities or two NaNs are equal here, although their difference is NaN.
            distance = torch.where((a == b) | (a.isnan() & b.isnan()), 0.0, (a - b).abs())
            if distance.numel():
                most = torch.maximum(torch.tensor(most, dtype=torch.float64), distance.max()).item()
    except RuntimeError:  # for packed types, such as F4
        most = None
    return Change(*kinds, before.numel(), most)


def double(tensor: Any) -> Any:
    """The tensor in double precision, real or complex."""
    import torch

    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


@contextmanager
def opened(mar: Mar) -> Iterator[Weights]:
    """A context with an archive's tensors, from safetensors files that are unpacked to a temporary folder and checked.

    Raises VerificationError if one of them is broken.
    """
    from safetensors import SafetensorError, safe_open

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="archiver-")))
        files = {}
        for number, member in enumerate(sorted(name for name in mar.names if name.endswith(SUFFIX))):
            path = folder / str(number)
            try:
                with mar.zip.open(member) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                safetensors.check(path)
                files[member] = stack.enter_context(safe_open(path, framework="pt"))
            except (UnsafeFile, SafetensorError, *zip_file.ERRORS) as error:
                raise VerificationError(str(mar.path), [Problem(member, zip_file.reason(error))]) from None
        yield Weights(files)
