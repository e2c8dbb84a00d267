"""Weights of any format, looked at before they are loaded."""

from __future__ import annotations

from pathlib import Path

from handlers.formats import huggingface, safetensors, torch_export, torchscript
from handlers.formats.errors import UnsafeFile


def check(weights_format: str, path: Path, task: str) -> None:
    """UnsafeFile, with one sentence, where reading `path` could run code or its content is not of the format."""
    match weights_format:
        case "safetensors":
            safetensors.check(path)
        case "torchscript":
            torchscript.check(path)
        case "torch-export":
            torch_export.check(path)
        case "huggingface":
            huggingface.check(path, task)
        case unknown:
            raise UnsafeFile(f"format {unknown!r}; wanted safetensors, torchscript, torch-export or huggingface")
