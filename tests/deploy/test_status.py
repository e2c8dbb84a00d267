"""The state of a server's models, as its edge is told."""

from pathlib import Path

from deploy.status import Status
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
