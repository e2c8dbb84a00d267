import json
from pathlib import Path
from typing import Any

import pytest

from client import Server, Unreachable

ADDRESSES: dict[str, Any] = {
    "inference": "http://127.0.0.1:1",
    "management": "http://127.0.0.1:2",
    "grpc": "127.0.0.1:3",
    "grpc_management": "127.0.0.1:4",
}


@pytest.fixture
def server_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "server.json"
    monkeypatch.setenv("TORCHSERVE_SERVER_FILE", str(path))
    monkeypatch.delenv("TORCHSERVE_KEY_FILE", raising=False)
    return path


def test_the_server_of_the_run_folder(server_file: Path) -> None:
    server_file.write_text(json.dumps({"pid": 1, "metrics": "m", **ADDRESSES, "key_file": "/run/key_file.json"}))
    assert Server.find() == Server(**ADDRESSES, key_file=Path("/run/key_file.json"))


def test_the_environment_names_another_key_file(server_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHSERVE_KEY_FILE", "/elsewhere.json")
    assert Server.find() == Server(key_file=Path("/elsewhere.json"))
    server_file.write_text(json.dumps({**ADDRESSES, "key_file": "/run/key_file.json"}))
    assert Server.find() == Server(**ADDRESSES, key_file=Path("/elsewhere.json"))


def test_no_key_file(server_file: Path) -> None:
    server_file.write_text(json.dumps({**ADDRESSES, "key_file": None}))
    assert Server.find().key_file is None


def test_no_server(server_file: Path) -> None:
    with pytest.raises(Unreachable, match="no server is running"):
        Server.find()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_broken_file(server_file: Path, text: str) -> None:
    server_file.write_text(text)
    with pytest.raises(Unreachable, match=str(server_file)):
        Server.find()
