"""A hub of models on this machine, with the paths and headers that huggingface_hub asks for."""

from __future__ import annotations

import hashlib
import json
import re
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
    """repositories: folders by their ids. tokens: of those that are private. address: of the server. asked: the paths
    that were, in their order; ranges: the parts of files.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.repositories: dict[str, Path] = {}
        self.tokens: dict[str, str] = {}
        self.asked: list[str] = []
        self.ranges: list[str] = []

    def is_open(self, path: str, authorization: str | None) -> bool:
        name = "/".join(path.removeprefix("/api/models").strip("/").split("/")[:2])
        return name not in self.tokens or authorization == f"Bearer {self.tokens[name]}"

    def file(self, path: str) -> Path | None:
        """The file of /OWNER/NAME/resolve/REVISION/FILE."""
        parts = path.strip("/").split("/")
        if len(parts) < 5 or parts[2] != "resolve" or parts[3] not in (COMMIT, "main"):
            return None
        folder = self.repositories.get("/".join(parts[:2]))
        found = folder / "/".join(parts[4:]) if folder else None
        return found if found and found.is_file() else None

    def about(self, path: str, recursive: bool = True) -> Any:
        """The repository of /api/models/OWNER/NAME/revision/REVISION, or a folder of …/tree/REVISION/FOLDER."""
        parts = path.removeprefix("/api/models/").strip("/").split("/")
        folder = self.repositories.get("/".join(parts[:2]))
        if not path.startswith("/api/models/") or folder is None:
            return None
        if parts[2:3] == ["tree"] and parts[3] in (COMMIT, "main"):
            below = folder.joinpath(*parts[4:])
            found = below.rglob("*") if recursive else below.iterdir()
            return [described(each, folder) for each in sorted(found)] if below.is_dir() else None
        if parts[2:] not in ([], ["revision", COMMIT], ["revision", "main"]):
            return None
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        names = [{"rfilename": file.relative_to(folder).as_posix()} for file in files]
        return {"id": "/".join(parts[:2]), "sha": COMMIT, "siblings": names}


def described(file: Path, folder: Path) -> dict[str, Any]:
    """As the hub lists a file of a commit, or a folder: oid is git's of its content."""
    path = file.relative_to(folder).as_posix()
    if file.is_dir():
        return {"type": "directory", "path": path, "size": 0, "oid": COMMIT}
    data = file.read_bytes()
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return {"type": "file", "path": path, "size": len(data), "oid": oid}


@contextmanager
def answering() -> Iterator[Hub]:
    """For other processes, by HF_ENDPOINT."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    vars(server)["hub"] = hub
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def local_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Within it huggingface_hub asks this hub alone, and keeps what it gets below `cache`."""
    with answering() as hub:
        redirect(hub, cache, monkeypatch)
        yield hub


def redirect(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = "huggingface_hub.constants"
    monkeypatch.setattr(f"{constants}.ENDPOINT", hub.address)
    template = f"{hub.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(f"{constants}.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", hub.address)


class Answers(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        hub: Hub = vars(self.server)["hub"]
        asked = urlsplit(self.path)
        path, recursive = unquote(asked.path), "recursive=false" not in asked.query.lower()
        hub.asked.append(path)
        allowed = hub.is_open(path, self.headers.get("Authorization"))
        file, about = (hub.file(path), hub.about(path, recursive)) if allowed else (None, None)
        body = file.read_bytes() if file else json.dumps(about).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if file else None
        if file is None and about is None:
            self.send_response(404 if allowed else 401)
            entry = allowed and any(f"/{kind}/" in path for kind in ("resolve", "tree"))
            self.send_header("X-Error-Code", "EntryNotFound" if entry else "RepoNotFound")
            body = b""
        elif part:
            hub.ranges.append(part[0])
            first, last = int(part[1]), min(int(part[2] or len(body)), len(body) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
            body = body[first : last + 1]
        else:
            self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Not to the tests' output."""
