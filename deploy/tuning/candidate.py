"""One way to serve a model, and an archive that serves it in that way."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CONFIGURATION = "model-config.yaml"
GRAPH = "artifact/graph.onnx"


@dataclass(frozen=True, order=True)
class Candidate:
    """The keys of a spec that determine speed. workers: per GPU if there are any.

    decode: an option of models that read images, if a GPU can decode them; "" for models without that option.
    """

    backend: str
    workers: int
    threads: int
    size: int
    delay_ms: int
    decode: str = ""

    def __str__(self) -> str:
        decode = f", decode {self.decode}" if self.decode else ""
        return f"{self.backend}, {self.workers} x {self.threads} threads, batch {self.size}, {self.delay_ms} ms{decode}"

    def keys(self) -> dict[str, Any]:
        """The keys in the form of a spec, without `decode`, which is one of its `options`."""
        return {
            "backend": self.backend,
            "workers": self.workers,
            "threads": self.threads,
            "batch": {"size": self.size, "delay_ms": self.delay_ms},
        }

    def write(self, archive: Path, path: Path, gpus: int) -> None:
        """Write `archive` to `path` with these workers and threads; without its graph where that is not run.

        The batch is set when the model is registered, as `deploy` does: an archive cannot express a delay of 0.
        """
        with zipfile.ZipFile(archive) as source, zipfile.ZipFile(path, "w") as target:
            for entry in source.infolist():
                data = source.read(entry)
                if entry.filename == GRAPH and self.backend == "torch":
                    continue
                target.writestr(entry, self.configured(data, gpus) if entry.filename == CONFIGURATION else data)

    def configured(self, text: bytes, gpus: int) -> bytes:
        values = yaml.safe_load(text)
        workers = self.workers * max(1, gpus)
        values |= {"minWorkers": workers, "maxWorkers": workers}
        values["handler"]["threads"] = self.threads
        if self.decode:
            values["handler"]["options"] = {**(values["handler"].get("options") or {}), "decode": self.decode}
        changed: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        return changed.encode()


def backends(archive: Path) -> list[str]:
    """The backends that an archive can run on, the one that is faster on a CPU first."""
    with zipfile.ZipFile(archive) as file:
        return ["onnxruntime", "torch"] if GRAPH in file.namelist() else ["torch"]
