"""One loader for every format of weights. Nothing here unpickles: safetensors, TorchScript, torch.export only."""

from __future__ import annotations

from importlib import import_module

import torch
from torch import nn
from torch.export.passes import move_to_device_pass

from handlers.artifact import Artifact
from handlers.networks.weights import load_weights


class LoadError(Exception):
    """The weights cannot become a model; the message names the format and what is missing."""


def load_model(artifact: Artifact, device: torch.device) -> nn.Module:
    """The artifact's model on `device`, in evaluation mode, without gradients."""
    match artifact.format:
        case "safetensors":
            model = from_safetensors(artifact)
        case "torchscript":
            return torch.jit.load(artifact.weights, map_location=device).eval()
        case "torch-export":
            return from_export(artifact, device)
        case "huggingface":
            model = from_huggingface(artifact)
        case unknown:
            raise LoadError(f"format {unknown!r}; wanted safetensors, torchscript, torch-export or huggingface")
    return model.to(device).eval().requires_grad_(False)


def from_safetensors(artifact: Artifact) -> nn.Module:
    """Build the architecture from its dotted factory, on no device, and give it the weights."""
    if artifact.architecture is None:
        raise LoadError("the safetensors format needs architecture: {factory, arguments}")
    module, _, name = artifact.architecture["factory"].rpartition(".")
    factory = getattr(import_module(module), name)
    model: nn.Module = factory(**artifact.architecture.get("arguments", {}))
    load_weights(model, artifact.weights)
    return model


def from_export(artifact: Artifact, device: torch.device) -> nn.Module:
    program = torch.export.load(artifact.weights)
    if device.type != "cpu":
        program = move_to_device_pass(program, device)
    return program.module().requires_grad_(False)


def from_huggingface(artifact: Artifact) -> nn.Module:
    from transformers import AutoModelForSequenceClassification  # seconds of import that only text models pay

    return AutoModelForSequenceClassification.from_pretrained(
        artifact.weights, local_files_only=True, trust_remote_code=False, use_safetensors=True
    )


def channels_last(model: nn.Module) -> nn.Module:
    """Convolutions over pictures run faster on weights in this order, on CPUs and GPUs alike."""
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
