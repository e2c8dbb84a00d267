"""Checkpoints that a run continues from or is measured with: checked before torch reads them, which unpickles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from handlers.formats import zip_file
from handlers.formats.errors import UnsafeFile
from train.core.data_file import shown
from train.core.run import RunError

OF_LIGHTNING = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks", "pytorch-lightning_version")


def load(path: Path) -> Any:
    """The content of a file of torch.save, on the CPU. Raises RunError as `check` does, and if it cannot be read."""
    check(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A broken pickle raises any error.
        raise RunError(f"{path} cannot be read: {first_line(error)}") from error


def check(path: Path) -> None:
    """Raises RunError if the file is not one of torch.save, is a zip bomb, or holds more than tensors and plain
    values."""
    try:
        with zip_file.opened(path) as found:
            for name, what in zip_file.problems(found):
                raise UnsafeFile(f"{name} {what}")
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except UnsafeFile as error:
        raise RunError(f"{path} is not a checkpoint: {error}") from None
    except Exception as error:
        # A broken pickle raises any error.
        raise RunError(f"{path} cannot be read: {first_line(error)}") from error
    if foreign:
        raise RunError(f"{path} is not loaded: it makes objects of {foreign[0][:80]}, which would run their code")


def check_module(path: Path, module: nn.Module) -> None:
    """Raises RunError unless the file is a checkpoint of Lightning whose weights have the module's names and shapes."""
    found = load(path)
    missing = [key for key in OF_LIGHTNING if not isinstance(found, dict) or key not in found]
    if missing:
        raise RunError(f"{path} is not a checkpoint of a training: it has no {missing[0]}")
    with of_this_model(path):
        stored = {name: tuple(weight.shape) for name, weight in found["state_dict"].items()}
        own = {name: tuple(weight.shape) for name, weight in module.state_dict().items()}
        for name in sorted(stored.keys() ^ own.keys()):
            raise ValueError(f"{shown(name)} is only in one of both")
        for name, shape in own.items():
            if stored[name] != shape:
                raise ValueError(f"{name} has the shape {stored[name]}; wanted {shape}")


@contextmanager
def of_this_model(path: Path) -> Iterator[None]:
    """Turn the errors of loading the content of `path` into a model into RunError: it is of another one."""
    try:
        yield
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise RunError(
            f"{path} is a checkpoint of another model: {type(error).__name__}: {first_line(error)}"
        ) from error


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
