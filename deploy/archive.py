"""An archive as a server sees it: one of ours, with a model card and a sample, or any other that TorchServe takes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deploy.errors import DeployError

MANIFEST, CARD, ARTIFACT = "MAR-INF/MANIFEST.json", "card.json", "artifact/artifact.json"
VERSION = "1.0"  # TorchServe's, where the manifest names none
# TorchServe's own handlers that import captum, as its archiver writes them into a manifest.
NEED_CAPTUM = {"image_classifier", "object_detector", "image_segmenter", "text_classifier"}


@dataclass(frozen=True)
class Archive:
    """name, version, handler: of the manifest. card: empty where the archive was not built by `python -m archiver`.

    settings: TorchServe's own, of an archive's configuration file, such as minWorkers; empty where there is a card.
    """

    path: Path
    name: str
    version: str
    handler: str
    card: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Archive:
        """Raises DeployError where TorchServe could not serve the file."""
        try:
            with zipfile.ZipFile(path) as file:
                model = json.loads(file.read(MANIFEST))["model"]
                card = json.loads(file.read(CARD)) if CARD in file.namelist() else {}
                settings = {} if card else configuration(file, model.get("configFile"))
                name, handler = model["modelName"], model["handler"]
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise DeployError(f"{path.name} is not an archive that TorchServe can serve: {what}") from None
        if card and "batch" not in card:
            raise DeployError(f"{path.name} was built by an older archiver; `python -m archiver build` makes it anew")
        return cls(path, name, str(model.get("modelVersion", VERSION)), handler, card, settings)

    @property
    def task(self) -> str:
        """Of our card; "" for any other archive."""
        return str(self.card.get("task", ""))

    @property
    def missing(self) -> str:
        """What its handler needs and is not installed here, or ""."""
        if self.handler in NEED_CAPTUM and find_spec("captum") is None:
            return f"TorchServe's handler {self.handler} needs captum, which ./scripts/setup stock installs"
        return ""

    def sample(self, folder: Path) -> Path:
        """Its own sample input, unpacked as folder/NAME.suffix. DeployError where it has no card, and so no sample."""
        if not self.card:
            raise DeployError(f"{self.path.name} brings no sample input")
        with zipfile.ZipFile(self.path) as file:
            name: str = json.loads(file.read(ARTIFACT))["sample"]
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{self.path.stem}{Path(name).suffix}"
            path.write_bytes(file.read(f"artifact/{name}"))
        return path


def configuration(file: zipfile.ZipFile, name: str | None) -> dict[str, Any]:
    import yaml  # the doctor reads cards with the standard library alone

    values = yaml.safe_load(file.read(name)) if name else None
    return values if isinstance(values, dict) else {}
