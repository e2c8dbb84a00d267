"""The tensors of two archives, compared: which are new, gone, of another shape, or hold other numbers."""

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
CHUNK = 1 << 20  # elements that are compared at once, in double precision


@dataclass(frozen=True)
class Kind:
    """Of a tensor. dtype: as the file has it, F16."""

    dtype: str
    shape: list[int]


@dataclass(frozen=True)
class Change:
    """max_abs_difference: over all elements, in double precision; NaN where one alone is NaN, None where the dtypes
    cannot be compared. elements: how many there are."""

    before: Kind
    after: Kind
    elements: int
    max_abs_difference: float | None


@dataclass
class TensorDifference:
    """By the tensors' names. unchanged: how many are the same to the bit."""

    added: dict[str, Kind] = field(default_factory=dict)
    removed: dict[str, Kind] = field(default_factory=dict)
    reshaped: dict[str, tuple[Kind, Kind]] = field(default_factory=dict)
    changed: dict[str, Change] = field(default_factory=dict)
    unchanged: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.reshaped or self.changed)


class Weights:
    """The open safetensors files of an archive. places: of each tensor, by name, the file that holds it."""

    def __init__(self, path: Path, files: dict[str, Any]) -> None:
        self.places: dict[str, tuple[Any, str]] = {}
        self.path = path
        for member, file in files.items():
            for tensor in file.keys():  # noqa: SIM118 - not a dict
                # Shards have names of their own; two models in one archive may not.
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
    """VerificationError where a file of weights is broken. Imports torch, which alone knows all of the dtypes."""
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
                found.unchanged += change is None
                if change:
                    found.changed[name] = change
    return found


def difference(old: Weights, new: Weights, name: str) -> Change | None:
    """None where both tensors are the same to the bit."""
    import torch

    before, after = old.load(name).flatten(), new.load(name).flatten()
    kinds = old.kind(name), new.kind(name)
    if kinds[0] == kinds[1] and torch.equal(before.view(torch.uint8), after.view(torch.uint8)):
        return None
    most: float | None = 0.0
    try:
        for a, b in zip(before.split(CHUNK), after.split(CHUNK), strict=True):
            # Infinity minus itself, and NaN against NaN, are no difference.
            a, b = wide(a), wide(b)
            apart = torch.where((a == b) | (a.isnan() & b.isnan()), 0.0, (a - b).abs())
            most = torch.maximum(torch.tensor(most, dtype=torch.float64), apart.max()).item() if apart.numel() else most
    except (RuntimeError, NotImplementedError):  # of packed numbers, such as F4
        most = None
    return Change(*kinds, before.numel(), most)


def wide(tensor: Any) -> Any:
    """In double precision."""
    import torch

    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


@contextmanager
def opened(mar: Mar) -> Iterator[Weights]:
    """The tensors of an archive, from files that are unpacked meanwhile."""
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
        yield Weights(mar.path, files)
