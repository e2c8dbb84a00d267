"""Weights from safetensors into a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

# Of DataParallel and DistributedDataParallel, and of torch.compile: in front of every name of a wrapped network.
WRAPPERS = ("module.", "_orig_mod.")
NAMED = 3  # of the names that an error lists
# Batches that a batch norm has seen, which matters in training alone: frozen ones, and torch before 0.4.1, have none.
COUNTER = ".num_batches_tracked"


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a state dict that is the network's own, or that of the network wrapped by DataParallel or torch.compile.

    Of weights that share memory one name is enough, as safetensors.torch.save_model leaves it, and batch norms need no
    counters of batches. ValueError, with the first names that differ, for any other.

    A module may ask which version of itself wrote its state, which torch keeps beside a state dict and safetensors
    cannot: it is the network's own.
    """
    state: Any = network.state_dict()
    versions, own = state._metadata, dict(state)
    found = with_shared(unwrapped(load_file(path), own), own)
    found = {**{name: value for name, value in own.items() if name.endswith(COUNTER)}, **found}
    check_fit(found, own)
    state.clear()
    state.update(found)
    state._metadata = versions
    network.load_state_dict(state)


def unwrapped(found: dict[str, Tensor], own: Iterable[str]) -> dict[str, Tensor]:
    """The state dict without the wrappers' prefixes, where every name has them and the network's do not."""
    names = set(own)
    while found and not found.keys() & names:
        prefix = next((prefix for prefix in WRAPPERS if all(name.startswith(prefix) for name in found)), None)
        if prefix is None:
            break
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def with_shared(found: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with the other names of weights that share memory in the network."""
    places = {place(own[name]): name for name in found if name in own and own[name].numel()}
    shared = {name: places[place(own[name])] for name in own if name not in found and place(own[name]) in places}
    return {**found, **{name: found[other] for name, other in shared.items()}}


def place(tensor: Tensor) -> tuple[int, tuple[int, ...]]:
    return tensor.data_ptr(), tuple(tensor.shape)


def check_fit(found: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    missing = [name for name in own if name not in found]
    left_over = [name for name in found if name not in own]
    differ = [
        f"{name} is {tuple(found[name].shape)}, wanted {tuple(own[name].shape)}"
        for name in own
        if name in found and found[name].shape != own[name].shape
    ]
    parts = (("missing", missing), ("left over", left_over), ("of another shape", differ))
    if missing or left_over or differ:
        said = "; ".join(f"{what}: {', '.join(names[:NAMED])}" for what, names in parts if names)
        raise ValueError(f"the weights are not the network's: {said}")
