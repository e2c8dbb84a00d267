"""An archive as a server sees it: one of ours, with a model card and a sample, or any other that TorchServe takes."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deploy.errors import DeployError
from handlers.formats import zip_file
from handlers.formats.errors import UnsafeFile

MANIFEST, CARD, ARTIFACT = "MAR-INF/MANIFEST.json", "card.json", "artifact/artifact.json"
VERSION = "1.0"  # TorchServe's default if the manifest names none
MAX_JSON_BYTES = 16 << 20
MAX_YAML_BYTES = 256 << 10  # which takes pyyaml a second or two
MAX_SAMPLE_BYTES = 256 << 20
DIGITS = 10
MAX_REASON = 300  # characters
# The errors that reading a malformed archive raises, with those of json.
BROKEN = (UnsafeFile, OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)
# What can stand in an address and in the name of a log. Two dots in a row are refused by TorchServe.
NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
# TorchServe's own handlers that import captum, as its archiver writes them into a manifest.
NEED_CAPTUM = {"image_classifier", "object_detector", "image_segmenter", "text_classifier"}


@dataclass(frozen=True, eq=False)
class Archive:
    """name, version, handler: from the manifest. card: empty if `python -m archiver` did not build the archive.

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
        """Raises DeployError if TorchServe could not serve the file."""
        try:
            with zip_file.opened(path) as file:
                if problems := zip_file.problems(file) or zip_file.unlisted(file):
                    raise UnsafeFile(" ".join(problems[0]))
                model = json.loads(member(file, MANIFEST))["model"]
                card = json.loads(member(file, CARD)) if CARD in file.namelist() else {}
            name, handler, version = model["modelName"], model["handler"], model.get("modelVersion", VERSION)
            configuration = model.get("configFile")
            if not all(isinstance(text, str) for text in (name, handler, configuration or "")):
                raise ValueError(f"its {MANIFEST} names no model and handler")
            for text in (name, str(version)):
                if not NAME.fullmatch(text):
                    raise ValueError(
                        f"its {MANIFEST} has {text[:80]!r} for a name or version; wanted letters, digits, ._-"
                    )
            if not isinstance(card, dict):
                raise ValueError(f"its {CARD} is not an object")
        except BROKEN as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else one_line(error)
            shown = zip_file.shown(path.name)
            raise DeployError(f"{shown} is not an archive that TorchServe can serve: {what}") from None
        if card and "batch" not in card:
            raise DeployError(
                f"{path.name} was built by an older archiver; build it again with `python -m archiver build`"
            )
        return cls(path, name, str(version), handler, card, configuration)

    @property
    def task(self) -> str:
        """The task in our model card; "" for any other archive."""
        return str(self.card.get("task", ""))

    @property
    def device(self) -> str:
        """The device of its workers: cpu, gpu, or auto, which means a GPU if there is one."""
        return str(self.card.get("device", "auto")) if self.card else self.own_settings().get("deviceType", "auto")

    @property
    def settings(self) -> dict[str, int]:
        """TorchServe's own numeric settings, such as minWorkers, from its configuration file. Raises DeployError."""
        own = self.own_settings().items()
        return {name: int(value) for name, value in own if value.isdecimal() and len(value) < DIGITS}

    def own_settings(self) -> dict[str, str]:
        """The scalars at the top level of its configuration file, as text. Raises DeployError."""
        import yaml  # the doctor imports this module, and has only the standard library

        if not self.configuration:
            return {}
        try:
            with zip_file.opened(self.path) as file:
                text = member(file, self.configuration, MAX_YAML_BYTES).decode("utf-8")
                root = yaml.compose(text, yaml.SafeLoader)
        except (yaml.YAMLError, *BROKEN) as error:
            raise DeployError(f"{self.path.name}: its {self.configuration} cannot be read: {one_line(error)}") from None
        # Nodes of the top level only: aliases below it could expand without end.
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        return {str(key.value): value.value for key, value in pairs if isinstance(value, yaml.ScalarNode)}

    @property
    def explains(self) -> bool:
        """Whether it uses one of TorchServe's own handlers that explain predictions."""
        return self.handler in NEED_CAPTUM

    @property
    def missing(self) -> str:
        """A sentence about a library that its handler needs but that is not installed, or ""."""
        if self.handler in NEED_CAPTUM and find_spec("captum") is None:
            return f"TorchServe's handler {self.handler} needs captum, which ./scripts/setup stock installs"
        return ""

    def sample(self, folder: Path) -> Path:
        """Its own sample input, unpacked as folder/NAME.suffix. Raises DeployError as `read_sample` does."""
        suffix, content = self.read_sample()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.path.stem}{suffix}"
        path.write_bytes(content)
        return path

    def read_sample(self) -> tuple[str, bytes]:
        """The suffix and bytes of its own sample input. Raises DeployError if it has no card, and thus no sample."""
        if not self.card:
            raise DeployError(f"{self.path.name} brings no sample input")
        try:
            with zip_file.opened(self.path) as file:
                name = str(json.loads(member(file, ARTIFACT))["sample"])
                return Path(name).suffix, member(file, f"artifact/{name}", MAX_SAMPLE_BYTES)
        except BROKEN as error:
            raise DeployError(f"{self.path.name}: its sample cannot be read: {one_line(error)}") from None


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:MAX_REASON] or type(error).__name__


def member(file: zipfile.ZipFile, name: str, limit: int = MAX_JSON_BYTES) -> bytes:
    """The content of a file of an archive. Raises UnsafeFile if it is missing, broken or too large."""
    return zip_file.read(file, name, limit)


def archives_in(store: Path) -> list[Path]:
    """The archives of a store, sorted by name. Hidden files are incomplete, or were left by macOS beside others."""
    return sorted(path for path in store.glob("*.mar") if not path.name.startswith("."))


def readable(store: Path) -> list[Archive]:
    """The archives of a store that TorchServe could serve, sorted by file name."""
    found = []
    for path in archives_in(store):
        with suppress(DeployError):
            found.append(Archive.read(path))
    return found


def newest(archives: Iterable[Archive]) -> dict[str, Archive]:
    """The archive with the highest version of each model, by the model's name; 1.10 is higher than 1.9."""
    return {archive.name: archive for archive in sorted(archives, key=version_numbers)}


def version_numbers(archive: Archive) -> list[int]:
    return [int(part) for part in re.findall(r"\d{1,18}", archive.version)]
