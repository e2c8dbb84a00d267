"""Checkpoints that a run continues from or is measured with: checked before torch reads them, which unpickles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from handlers.formats import zip_file
from handlers.formats.errors import UnsafeFile
from train.core.run import RunError


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


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
