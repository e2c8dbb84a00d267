"""The state of a server's models, as its edge is told."""

from pathlib import Path

import requests

from deploy.ports import HOST, Ports
from deploy.status import HANGS, Status
from deploy.surface.status_server import StatusServer
from tests.client.fake_server import FakeServer


def test_a_model_that_goes_meanwhile_does_not_hide_the_others(tmp_path: Path) -> None:
    fake = FakeServer(tmp_path)
    try:
        fake.models = ["gone", "echo"]
        status = Status(fake.server, tmp_path, ["echo"])
        status.admit()
        status.look()
        assert {model.name for model in status.models} == {"echo"}
        assert status.defaults == {"echo": "2.0"}
    finally:
        fake.stop()


def test_a_server_that_answers_nothing_any_more_is_not_alive(tmp_path: Path) -> None:
    fake = FakeServer(tmp_path)
    ports = Ports.free()
    status = Status(fake.server, tmp_path, ["echo"])
    server = StatusServer(status, HOST, ports)
    server.start()
    try:
        status.answered -= HANGS
        assert requests.get(f"http://{HOST}:{ports.status}/livez", timeout=5).status_code == 503
        status.look()
        assert requests.get(f"http://{HOST}:{ports.status}/livez", timeout=5).status_code == 200
        fake.stop()
        status.look()
        status.answered -= HANGS
        status.look()
        assert requests.get(f"http://{HOST}:{ports.status}/livez", timeout=5).status_code == 503
    finally:
        server.stop()
