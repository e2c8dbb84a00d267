"""./scripts/serve and stop, called wrongly: one clear line and an exit status."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from deploy.configuration import PROJECT
from deploy.ports import HOST, Ports
from deploy.run_folder import running, state_of, stop


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(PROJECT / ".venv/bin/python"), "-m", "deploy", *arguments]
    environment = {**os.environ, "BUNDLE_RUN": str(tmp_path / "run")}
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60)


def test_an_unknown_model(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", "imagnet")
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("serve: no model imagnet; there are imagenet")


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        offset = taken.getsockname()[1] - Ports().inference
        done = run(tmp_path, "serve", "imagenet", f"--port-offset={offset}")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"serve: port {Ports().inference + offset} (inference) is in use by python")


def test_nothing_to_stop(tmp_path: Path) -> None:
    done = run(tmp_path, "stop")
    assert (done.returncode, done.stdout.strip()) == (0, "no server is running")


@pytest.mark.parametrize("arguments", [("serve", "--zoo", "city"), ("serve", "--nothing"), ("fly",)])
def test_a_wrong_call(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_state_file_of_another_process_is_not_ours(tmp_path: Path) -> None:
    """A pid that was given to another program since is neither taken for the server nor ended."""
    state = {"pid": os.getpid(), "created": 0.0, "temporary": str(tmp_path / "tmp")}
    (tmp_path / "server.json").write_text(json.dumps(state))
    assert running(tmp_path) is None
    assert stop(tmp_path) is False
    assert state_of(tmp_path) is None
