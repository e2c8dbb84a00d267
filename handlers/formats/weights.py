"""Checks weights of any format before they are loaded."""

from __future__ import annotations

from pathlib import Path

from handlers.formats.errors import UnsafeFile


def check(weights_format: str, path: Path, task: str) -> None:
    """Raise UnsafeFile if reading `path` could run code, or its content does not match the format."""
    match weights_format:  # a worker starts sooner if it imports only the reader it needs
        case "safetensors":
            from handlers.formats import safetensors

            safetensors.check(path)
        case "torchscript":
            from handlers.formats import torchscript

            torchscript.check(path)
        case "torch-export":
            from handlers.formats import torch_export

            torch_export.check(path)
        case "onnx":
            from handlers.formats import onnx

            onnx.check_model(path)
        case "huggingface":
            from handlers.formats import huggingface

            huggingface.check(path, task)
        case unknown:
            raise UnsafeFile(f"format {unknown!r}; wanted safetensors, torchscript, torch-export, onnx or huggingface")
