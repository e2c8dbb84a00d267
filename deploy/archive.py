"""An archive as a server sees it: one of ours, with a model card and a sample, or any other that TorchServe takes."""

from __future__ import annotations

import json
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deploy.errors import DeployError

MANIFEST, CARD, ARTIFACT = "MAR-INF/MANIFEST.json", "card.json", "artifact/artifact.json"
VERSION = "1.0"  # TorchServe's, where the manifest names none
MAX_JSON_BYTES = 16 << 20
MAX_SAMPLE_BYTES = 256 << 20
DIGITS = 10
# What zipfile and json raise by a file that is not what it should be.
BROKEN = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error, lzma.LZMAError),
)
# TorchServe's own handlers that import captum, as its archiver writes them into a manifest.
NEED_CAPTUM = {"image_classifier", "object_detector", "image_segmenter", "text_classifier"}


@dataclass(frozen=True, eq=False)
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
            if not path.is_file():  # a pipe would never end
                raise OSError("it is not a file")
            with zipfile.ZipFile(path) as file:
                model = json.loads(member(file, MANIFEST))["model"]
                card = json.loads(member(file, CARD)) if CARD in file.namelist() else {}
            name, handler, version = model["modelName"], model["handler"], model.get("modelVersion", VERSION)
            configuration = model.get("configFile")
            if not all(isinstance(text, str) for text in (name, handler, configuration or "")):
                raise ValueError(f"its {MANIFEST} names no model and handler")
            if not isinstance(card, dict):
                raise ValueError(f"its {CARD} is not an object")
        except BROKEN as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
            raise DeployError(f"{path.name} is not an archive that TorchServe can serve: {what}") from None
        if card and "batch" not in card:
            raise DeployError(
                f"{path.name} was built by an older archiver; build it again with `python -m archiver build`"
            )
        return cls(path, name, str(version), handler, card, configuration)

    @property
    def task(self) -> str:
        """Of our card; "" for any other archive."""
        return str(self.card.get("task", ""))

    @property
    def device(self) -> str:
        """The device of its workers: cpu, gpu, or auto, which is a GPU where there is one."""
        return str(self.card.get("device", "auto")) if self.card else self.own_settings().get("deviceType", "auto")

    @property
    def settings(self) -> dict[str, int]:
        """TorchServe's own numbers, such as minWorkers, of its configuration file. Raises DeployError."""
        own = self.own_settings().items()
        return {name: int(value) for name, value in own if value.isdecimal() and len(value) < DIGITS}

    def own_settings(self) -> dict[str, str]:
        """The scalars of its configuration file, as they stand there. Raises DeployError."""
        import yaml  # the doctor, which needs none of them, has the standard library alone

        if not self.configuration:
            return {}
        try:
            with zipfile.ZipFile(self.path) as file:
                root = yaml.compose(member(file, self.configuration).decode("utf-8"), yaml.SafeLoader)
        except (yaml.YAMLError, *BROKEN) as error:
            raise DeployError(f"{self.path.name}: its {self.configuration} cannot be read: {error}") from None
        # The top alone, as nodes: what they refer to, which can be endless, is nobody's business here.
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        return {str(key.value): value.value for key, value in pairs if isinstance(value, yaml.ScalarNode)}

    @property
    def explains(self) -> bool:
        """Whether it has one of TorchServe's own handlers that explain."""
        return self.handler in NEED_CAPTUM

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
        try:
            with zipfile.ZipFile(self.path) as file:
                name = str(json.loads(member(file, ARTIFACT))["sample"])
                content = member(file, f"artifact/{name}", MAX_SAMPLE_BYTES)
        except BROKEN as error:
            raise DeployError(f"{self.path.name}: its sample cannot be read: {error}") from None
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.path.stem}{Path(name).suffix}"
        path.write_bytes(content)
        return path


def member(file: zipfile.ZipFile, name: str, limit: int = MAX_JSON_BYTES) -> bytes:
    """A file of an archive; KeyError where there is none, ValueError where it is larger."""
    size = file.getinfo(name).file_size
    if size > limit:
        raise ValueError(f"its {name} has {size} bytes; wanted {limit} at most")
    return file.read(name)


def archives_in(store: Path) -> list[Path]:
    """The archives of a store, by name. Hidden files are half-written ones, or what macOS leaves beside others."""
    return sorted(path for path in store.glob("*.mar") if not path.name.startswith("."))


def newest(archives: Iterable[Archive]) -> dict[str, Archive]:
    """Of each model, by its name, the archive with the highest version; 1.10 is after 1.9."""
    return {archive.name: archive for archive in sorted(archives, key=version_numbers)}


def version_numbers(archive: Archive) -> list[int]:
    return [int(part) for part in re.findall(r"\d{1,18}", archive.version)]
