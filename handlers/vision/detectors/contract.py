"""Torchvision's detection contract: a list of images of any sizes in, a dict of tensors for each out."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from handlers.artifact import Artifact, LoadError


def check_format(artifact: Artifact) -> None:
    """LoadError for formats whose files take images of one size, or are read by transformers, for boxes alone."""
    if artifact.format in ("huggingface", "onnx", "torch-export"):
        raise LoadError(f"{artifact.task}: wanted torchvision's contract; got {artifact.format}")


def check_program(model: nn.Module) -> None:
    """LoadError for TorchScript that takes a batch of images, as traced detectors do."""
    if isinstance(model, torch.jit.ScriptModule):
        method: Any = model.forward
        first = method.schema.arguments[1].type.annotation_str
        if first != "List[Tensor]":
            raise LoadError(f"preprocessing.output: missing: the program takes {first}, so its outputs need a layout")
