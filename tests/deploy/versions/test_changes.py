"""Versions are registered, scaled and removed under load, over both protocols: no call fails, none hangs."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from client import GrpcClient, NotFound, RestClient
from deploy.configuration import PROJECT
from deploy.edge import traffic
from tests.deploy.versions.conftest import MODEL, Served
from tests.deploy.versions.load import OBSERVATION, load

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def archive(served: Served) -> Path:
    return served.archive("2.0")


def test_a_loop_of_changes_under_load(served: Served, archive: Path) -> None:
    with load(served.server, MODEL) as calls:
        for over in ((), ("--grpc",)):
            assert "2.0 answers" in served.done("register", archive, *over)
            served.done("scale", MODEL, 2, "--version", "2.0", *over)
            served.done("set-default", MODEL, "2.0", *over)
            served.done("unregister", MODEL, "1.0", *over)  # which is not the default any more
            assert served.versions() == ["2.0"]
            served.done("register", served.run.parent / "store" / "tiny-policy.mar", "--default", *over)
            served.done("split", MODEL, "1.0=50", "2.0=50")
            served.done("scale", MODEL, 1, "--version", "2.0", "--hold", 3, *over)
            served.done("unregister", MODEL, "2.0", *over)
            assert served.versions() == ["1.0"]
            assert traffic.read(served.settings / traffic.NAME).closed == {}
    assert calls.failed == []
    assert {protocol for protocol, _ in calls.answered} == {"RestClient", "GrpcClient"}
    assert {"1.0", "2.0"} <= calls.versions().keys()


def test_the_default_version_gives_way_and_a_model_goes_whole(served: Served, archive: Path) -> None:
    served.done("register", archive, "--default")
    (rows,) = (json.loads(served.done("status", MODEL, "--json")),)
    assert {(row["version"], row["default"], row["share"]) for row in rows} == {("1.0", False, 0), ("2.0", True, 100)}
    assert "1.0" in served.done("unregister", MODEL, "2.0")
    served.done("unregister", MODEL, "--all")
    for kind in (RestClient, GrpcClient):
        with kind(served.server) as client, pytest.raises(NotFound):
            client.predict(MODEL, OBSERVATION)
    # The server is ready without it: what nobody wants is not waited for.
    time.sleep(3)
    served.done("register", served.run.parent / "store" / "tiny-policy.mar")
    with RestClient(served.server) as client:
        assert client.predict(MODEL, OBSERVATION).json()["action"] in (0, 1)


def test_the_same_on_all_or_undone_on_all(served: Served, archive: Path, tmp_path: Path) -> None:
    member = {"server": str(served.run / "server.json"), "settings": str(served.settings)}
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(yaml.safe_dump({"servers": [{"name": "a", **member}, {"name": "b", **member}]}))
    with (served.run.parent / "store" / archive.name).open("wb") as copy:  # where a fleet's servers find it
        copy.write(archive.read_bytes())
    failed = served.deploy("register", archive, "--fleet", fleet)
    assert failed.exit_code == 1
    assert "b: tiny-policy 2.0 is registered already" in failed.output
    assert "undone: a: tiny-policy 2.0 registered" in failed.output
    assert served.versions() == ["1.0"]
    nobody = {"name": "c", "management": "http://127.0.0.1:9"}
    fleet.write_text(yaml.safe_dump({"servers": [{"name": "a", **member}, nobody]}))
    assert served.deploy("register", archive, "--fleet", fleet).exit_code == 3
    assert served.versions() == ["1.0"]
    without = {"name": "a", "server": str(served.run / "server.json")}
    fleet.write_text(yaml.safe_dump({"servers": [without]}))
    served.done("register", archive, "--fleet", fleet)
    refused = served.deploy("unregister", MODEL, "2.0", "--fleet", fleet)
    assert refused.exit_code == 1
    assert "--force" in refused.output
    served.done("unregister", MODEL, "2.0", "--fleet", fleet, "--force")
    assert served.versions() == ["1.0"]


def test_ctrl_c_opens_what_was_closed_and_a_slow_body_is_answered(served: Served, archive: Path) -> None:
    served.done("register", archive)
    served.done("split", MODEL, "1.0=0", "2.0=100")
    body = json.dumps(OBSERVATION).encode()
    key = json.loads((served.run / "edge_keys.json").read_text())["inference"]["key"]
    head = (
        f"POST /predictions/{MODEL} HTTP/1.1\r\nHost: edge\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    host, _, port = served.server.grpc.partition(":")
    context = ssl.create_default_context(cafile=str(served.server.ca_file))
    with context.wrap_socket(socket.create_connection((host, int(port)), timeout=30), server_hostname=host) as slow:
        slow.sendall(head.encode() + body[:5])
        command = [sys.executable, "-m", "deploy.versions.command", "unregister", MODEL, "2.0"]
        environment = {**os.environ, **served.environment}
        running = subprocess.Popen(
            [*command, "--settings", str(served.settings)],
            cwd=PROJECT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert running.stdout is not None
        assert "still being uploaded" in running.stdout.readline()
        assert traffic.read(served.settings / traffic.NAME).closed == {MODEL: ("2.0",)}
        with RestClient(served.server) as client, pytest.raises(NotFound, match="has no version"):
            client.predict(MODEL, OBSERVATION, version="2.0")
        time.sleep(1)
        assert running.poll() is None
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=30)[0]
        assert running.returncode == 130
        assert "undone: server: no calls for tiny-policy 2.0" in said
        assert traffic.read(served.settings / traffic.NAME).models[MODEL].versions == {"1.0": 0, "2.0": 100}
        slow.sendall(body[5:])
        assert b" 200 " in slow.recv(100)
    served.done("split", MODEL, "--end")
    served.done("unregister", MODEL, "2.0")


def test_what_is_refused(served: Served, tmp_path: Path) -> None:
    missing = served.deploy("register", tmp_path / "no.mar")
    assert missing.exit_code == 1
    assert "no.mar is not an archive" in missing.stderr
    assert served.deploy("scale", MODEL, 0).exit_code == 2
    for arguments in (
        ("unregister", MODEL, "7.0"),
        ("unregister", MODEL),
        ("unregister", "no-such-model", "--all"),
        ("set-default", MODEL, "7.0"),
        ("scale", "no-such-model", 1),
        ("split", MODEL, "1.0=50", "7.0=50"),
    ):
        result = served.deploy(*arguments)
        assert result.exit_code == 1, (arguments, result.output)
        assert result.stderr.startswith(f"{arguments[0]}: "), result.stderr
    assert served.versions() == ["1.0"]


def test_logs(served: Served) -> None:
    assert "tiny-policy_1.0" in served.done("logs", MODEL, "--lines", 500)
    assert served.done("logs", "other") == ""
    calls = [json.loads(line) for line in served.done("logs", MODEL, "--edge", "-n", 3).splitlines()]
    assert {call["model"] for call in calls} == {MODEL}
