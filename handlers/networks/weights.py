"""Weights from safetensors into a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a state dict that is exactly the network's.

    A module may ask which version of itself wrote its state, which torch keeps beside a state dict and safetensors
    cannot: it is the network's own.
    """
    state: Any = network.state_dict()
    versions = state._metadata
    state.clear()
    state.update(load_file(path))
    state._metadata = versions
    network.load_state_dict(state)
