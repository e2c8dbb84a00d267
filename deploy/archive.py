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

    configuration: the name of its configuration file, if it has one.
    """

    path: Path
    name: str
    version: str
    handler: str
    card: Mapping[str, Any] = field(default_factory=dict)
    configuration: str | None = None

    @classmethod
    def read(cls, path: Path) -> Archive:
        """Raises DeployError where TorchServe could not serve the file."""
        try:
            with zipfile.ZipFile(path) as file:
                model = json.loads(file.read(MANIFEST))["model"]
                card = json.loads(file.read(CARD)) if CARD in file.namelist() else {}
                name, handler, version = model["modelName"], model["handler"], model.get("modelVersion", VERSION)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise DeployError(f"{path.name} is not an archive that TorchServe can serve: {what}") from None
        if card and "batch" not in card:
            raise DeployError(
                f"{path.name} was built by an older archiver; build it again with `python -m archiver build`"
            )
        return cls(path, name, str(version), handler, card, model.get("configFile"))

    @property
    def task(self) -> str:
        """Of our card; "" for any other archive."""
        return str(self.card.get("task", ""))

    @property
    def settings(self) -> dict[str, Any]:
        """TorchServe's own, such as minWorkers, of its configuration file. Raises DeployError."""
        import yaml  # the doctor, which needs none of them, has the standard library alone

        try:
            with zipfile.ZipFile(self.path) as file:
                values = yaml.safe_load(file.read(self.configuration)) if self.configuration else None
        except (KeyError, ValueError, yaml.YAMLError) as error:
            raise DeployError(f"{self.path.name}: its {self.configuration} cannot be read: {error}") from None
        return values if isinstance(values, dict) else {}

    @property
    def missing(self) -> str:
        """A sentence about a library that its handler needs and that is not installed, or ""."""
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
