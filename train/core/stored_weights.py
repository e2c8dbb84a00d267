"""Stores an artifact's weights in float16, which halves the artifact and its archive.

On a CPU a server computes in float32 in any case. A network is therefore measured with its weights rounded to float16,
so that the metrics are those of the served model.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from train.core.config import ExperimentError, StoredType


def round_weights(network: nn.Module, stored: StoredType) -> None:
    """Round the weights in place to values that `stored` can represent, keeping their type; does nothing for None.

    Raises ExperimentError for a weight beyond the range of float16 (±65,504), because it would become infinite.
    """
    if stored is None:
        return
    with torch.no_grad():
        for name, weight in network.state_dict().items():
            if weight.is_floating_point():
                weight.copy_(half(name, weight))


def half(name: str, weight: Tensor) -> Tensor:
    """The weight in float16. Raises ExperimentError if a value would become infinite. name: for the error."""
    rounded = weight.half()
    if not torch.equal(rounded.isfinite(), weight.isfinite()):
        largest = weight.abs().max().item()
        raise ExperimentError(
            f"stored_weights: {name} contains {largest:g}, and the maximum of float16 is 65504; remove stored_weights"
        )
    return rounded


def narrowed(weights: dict[str, Tensor], stored: StoredType) -> dict[str, Tensor]:
    """The state dict with floating-point weights in type `stored`. Raises ExperimentError; see `half`."""
    if stored is None:
        return weights
    return {name: half(name, weight) if weight.is_floating_point() else weight for name, weight in weights.items()}


def narrow_folder(folder: Path) -> None:
    """Convert the weights in a Hugging Face folder to float16, and record that in its config.json."""
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata()
        save_file(narrowed(load_file(file), "float16"), file, metadata)
    configuration = folder / "config.json"
    values = json.loads(configuration.read_text(encoding="utf-8"))
    values.pop("torch_dtype", None)  # its name before transformers 5
    configuration.write_text(json.dumps({**values, "dtype": "float16"}, indent=2) + "\n", encoding="utf-8")


class Widen(nn.Module):
    """A parametrization that computes a float32 weight from the stored float16 one."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.float()


def as_stored(network: nn.Module, stored: StoredType) -> nn.Module:
    """The network to export in the `torch-export` format: with float16 weights, which it widens to float32 itself.

    For None it is returned unchanged; otherwise it is changed in place.
    """
    if stored is None:
        return network
    for module in list(network.modules()):
        for name, weight in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            if weight.is_floating_point():
                narrow = half(name, weight.detach())
                setattr(module, name, nn.Parameter(narrow) if isinstance(weight, nn.Parameter) else narrow)
                register_parametrization(module, name, Widen(), unsafe=True)  # unsafe, because Widen changes the type
    return network.eval()


def state_of(program: nn.Module) -> dict[str, Tensor]:
    """The weights of a loaded program, under their names in the network that was passed to `as_stored`."""
    return {
        name.replace("parametrizations.", "").removesuffix(".original"): weight
        for name, weight in program.state_dict().items()
    }
