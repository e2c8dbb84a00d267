"""The models of a server, by its status and its archives' cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from client.errors import NotFound
from client.explanations import is_explainer
from client.model_status import ModelStatus
from deploy.archive import Archive
from deploy.errors import DeployError

if TYPE_CHECKING:
    from deploy.status import Status

Identity = tuple[int, int, int]
MAX_EXAMPLE = 32 << 10  # bytes of a sample that stands in a description


@dataclass
class Known:
    """An archive that has been read; its sample, suffix and bytes, once it is asked for, empty where it has none."""

    archive: Archive

    @cached_property
    def sample(self) -> tuple[str, bytes]:
        try:
            suffix, content = self.archive.read_sample()
        except DeployError:
            return "", b""
        return suffix, content if len(content) <= MAX_EXAMPLE else b""


class Models:
    """Those of `status`, without the ones that its models' explanations are served as."""

    def __init__(self, status: Status) -> None:
        self.status = status
        self.read: dict[Path, tuple[Identity, Known | None]] = {}  # each once for every file that goes by its name

    @property
    def ready(self) -> bool:
        return self.status.ready

    def names(self) -> list[str]:
        return sorted({model.name for model in self.status.models if not is_explainer(model.name)})

    def versions(self, name: str) -> Sequence[ModelStatus]:
        """Raises NotFound."""
        found = [model for model in self.status.models if model.name == name and not is_explainer(name)]
        if not found:
            raise NotFound(404, "ModelNotFoundException", f"Model not found: {name}")
        return found

    def find(self, name: str, version: str = "") -> ModelStatus:
        """A version of a model, the default one where none is named. Raises NotFound."""
        found = self.versions(name)
        wanted = version or self.status.defaults.get(name, found[0].version)
        for model in found:
            if model.version == wanted:
                return model
        raise NotFound(
            404, "ModelVersionNotFoundException", f"Model version: {wanted} does not exist for model: {name}"
        )

    def known(self, model: ModelStatus) -> Known | None:
        """A version's archive; None where it is not there any more, or cannot be read."""
        path = self.status.store / Path(model.archive).name
        try:
            state = path.stat()
        except FileNotFoundError:
            return None
        identity = (state.st_ino, state.st_mtime_ns, state.st_size)
        if path not in self.read or self.read[path][0] != identity:
            try:
                self.read[path] = identity, Known(Archive.read(path))
            except DeployError:
                self.read[path] = identity, None
        return self.read[path][1]
