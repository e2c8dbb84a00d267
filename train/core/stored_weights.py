"""The number type that an artifact's weights are stored in: float16 halves the folder and the archive made of it.

A server computes in float32 on a CPU whatever the type, so a network is measured with its weights rounded first: then
its scores are those of the model that is served.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from train.core.config import ExperimentError

StoredType = Literal["float16"] | None


def round_weights(network: nn.Module, stored: StoredType) -> None:
    """Round the weights in place to what `stored` holds, leaving their type; nothing for None.

    ExperimentError for a weight that float16 cannot hold (65,504 at most): it would become infinite.
    """
    if stored is None:
        return
    with torch.no_grad():
        for name, weight in network.state_dict().items():
            if weight.is_floating_point():
                weight.copy_(half(name, weight))


def half(name: str, weight: Tensor) -> Tensor:
    """The weight in float16; ExperimentError where it would become infinite."""
    rounded = weight.half()
    if not torch.equal(rounded.isfinite(), weight.isfinite()):
        largest = weight.abs().max().item()
        raise ExperimentError(f"stored_weights: {name} holds {largest:g}; float16 holds 65504 at most: leave it out")
    return rounded


def narrowed(weights: dict[str, Tensor], stored: StoredType) -> dict[str, Tensor]:
    """The state dict in the type it is stored in; what is not floating-point stays as it is."""
    if stored is None:
        return weights
    return {name: half(name, weight) if weight.is_floating_point() else weight for name, weight in weights.items()}


def narrow_folder(folder: Path) -> None:
    """Store the weights of a Hugging Face folder in float16, and say so in its configuration."""
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata()
        save_file(narrowed(load_file(file), "float16"), file, metadata)
    configuration = folder / "config.json"
    values = json.loads(configuration.read_text(encoding="utf-8"))
    values.pop("torch_dtype", None)  # its name before transformers 5
    configuration.write_text(json.dumps({**values, "dtype": "float16"}, indent=2) + "\n", encoding="utf-8")


class Widen(nn.Module):
    """Computes a weight in float32 from the float16 that is stored."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.float()


def as_stored(network: nn.Module, stored: StoredType) -> nn.Module:
    """The network as a program of the `torch-export` format holds it: with float16 weights that it widens itself.

    The given network is changed for float16.
    """
    if stored is None:
        return network
    for module in list(network.modules()):
        for name, weight in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if weight.is_floating_point():
                narrow = half(name, weight.detach())
                setattr(module, name, nn.Parameter(narrow) if isinstance(weight, nn.Parameter) else narrow)
                register_parametrization(module, name, Widen(), unsafe=True)  # it changes the type
    return network.eval()


def state_of(program: nn.Module) -> dict[str, Tensor]:
    """The weights of a loaded program under the names that they had in the network given to `as_stored`."""
    return {
        name.replace("parametrizations.", "").removesuffix(".original"): weight
        for name, weight in program.state_dict().items()
    }
