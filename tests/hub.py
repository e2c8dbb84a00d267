"""A hub of models on this machine, with the paths and headers that huggingface_hub asks for."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """repositories: folders by their ids. address: of the server. asked: the paths that were, in their order."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.repositories: dict[str, Path] = {}
        self.asked: list[str] = []

    def file(self, path: str) -> Path | None:
        """The file of /OWNER/NAME/resolve/REVISION/FILE."""
        parts = path.strip("/").split("/")
        if len(parts) < 5 or parts[2] != "resolve" or parts[3] not in (COMMIT, "main"):
            return None
        folder = self.repositories.get("/".join(parts[:2]))
        found = folder / "/".join(parts[4:]) if folder else None
        return found if found and found.is_file() else None

    def about(self, path: str) -> Any:
        """The repository of /api/models/OWNER/NAME/revision/REVISION, or its files, of …/tree/COMMIT; else None."""
        parts = path.removeprefix("/api/models/").split("/")
        folder = self.repositories.get("/".join(parts[:2]))
        if not path.startswith("/api/models/") or folder is None:
            return None
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        if parts[2:] == ["tree", COMMIT]:
            return [described(file, folder) for file in files]
        if parts[2:] not in ([], ["revision", COMMIT], ["revision", "main"]):
            return None
        names = [{"rfilename": file.relative_to(folder).as_posix()} for file in files]
        return {"id": "/".join(parts[:2]), "sha": COMMIT, "siblings": names}


def described(file: Path, folder: Path) -> dict[str, Any]:
    """As the hub lists a file of a commit: oid is git's of its content."""
    data = file.read_bytes()
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return {"type": "file", "path": file.relative_to(folder).as_posix(), "size": len(data), "oid": oid}


@contextmanager
def local_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Within it huggingface_hub asks this hub alone, and keeps what it gets below `cache`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    vars(server)["hub"] = hub
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    constants = "huggingface_hub.constants"
    monkeypatch.setattr(f"{constants}.ENDPOINT", hub.address)
    template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(f"{constants}.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", hub.address)
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Answers(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        hub: Hub = vars(self.server)["hub"]
        path = unquote(urlsplit(self.path).path)
        hub.asked.append(path)
        file, about = hub.file(path), hub.about(path)
        body = file.read_bytes() if file else json.dumps(about).encode()
        found = file is not None or about is not None
        self.send_response(200 if found else 404)
        if not found:
            self.send_header("X-Error-Code", "EntryNotFound" if "/resolve/" in path else "RepoNotFound")
            body = b""
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Not to the tests' output."""
