"""A worker's handler in this process: an unpacked archive, TorchServe's own Context, no server."""

import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml
from ts.context import Context, RequestProcessor

from handlers.entry import Entry


class Worker:
    """Loads an archive as TorchServe's worker does and answers batches of rows."""

    def __init__(self, archive: Path, folder: Path, suffix: str = "") -> None:
        """suffix: of the name that the archive is registered by, behind its own."""
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
        sys.path.insert(0, str(folder))
        try:
            manifest = orjson.loads((folder / "MAR-INF/MANIFEST.json").read_bytes())
            configuration = yaml.safe_load((folder / "model-config.yaml").read_text())
            name = manifest["model"]["modelName"] + suffix
            self.context = Context(name, str(folder), manifest, 1, None, "0.12.0", True, None, configuration)
            self.entry = Entry()
            self.entry.initialize(self.context)
        finally:
            sys.path.remove(str(folder))
        self.handler = self.entry.handler

    def answer(
        self, rows: Sequence[Mapping[str, Any]], headers: Sequence[Mapping[str, Any]] | None = None
    ) -> list[tuple[int, str, bytes]]:
        """(status, content type, body) of each row, answered as one batch."""
        self.context.request_processor = [RequestProcessor(dict(h)) for h in headers or [{}] * len(rows)]
        bodies = self.entry.handle(list(rows), self.context)
        return [
            (self.context.get_response_status(i)[0], self.context.get_response_content_type(i), body)
            for i, body in enumerate(bodies)
        ]

    def json(self, *rows: Mapping[str, Any]) -> list[Any]:
        """The parsed answers of a batch in which nothing fails."""
        answers = self.answer(rows)
        for status, content_type, body in answers:
            if (status, content_type) != (200, "application/json"):
                raise AssertionError(f"{status} {content_type}: {body[:500]!r}")
        return [orjson.loads(body) for _, _, body in answers]
