"""Management: one interface, two protocols."""

from collections.abc import Callable
from typing import Any

import pytest

from client import GrpcManagement, Management, ModelStatus, RegisteredModel, RestManagement, Worker
from tests.client.fake_server import FakeServer

Make = Callable[..., Any]
BOTH = pytest.mark.parametrize("make", [RestManagement, GrpcManagement])


@BOTH
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_all_pages_are_listed(fake_server: FakeServer, make: Make, count: int) -> None:
    fake_server.models = [f"m{number:03d}" for number in range(count)]
    with make(fake_server.server) as management:
        assert management.list_models() == [RegisteredModel(name, f"{name}.mar") for name in fake_server.models]


@BOTH
def test_a_model_is_described(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as management:
        status = management.describe("echo")
    assert status == ModelStatus(
        name="echo",
        version="2.0",
        archive="echo.mar",
        min_workers=2,
        max_workers=3,
        batch_size=8,
        max_batch_delay=4,
        pending=2,
        remaining=98,
        workers=(Worker("9000", "READY", 11, 1024, False), Worker("9001", "UNLOADING", 12, 0, False)),
    )


@BOTH
def test_the_card_and_the_versions(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as management:
        assert management.describe("echo", "2.0", card=True).card == {"task": "echo"}
        assert [status.version for status in management.versions("echo")] == ["2.0", "1.0"]


@BOTH
def test_ready_means_that_enough_workers_have_loaded_the_model(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as management:
        assert not management.is_ready("echo")


@pytest.mark.parametrize(
    ("min_workers", "states", "ready"),
    [(1, ["READY"], True), (2, ["READY"], False), (0, [], False), (0, ["READY"], True), (1, ["UNLOADING"], False)],
)
def test_readiness(min_workers: int, states: list[str], ready: bool) -> None:
    workers = tuple(Worker(str(number), state, 1, 0, False) for number, state in enumerate(states))
    assert ModelStatus("m", "1.0", "m.mar", min_workers, 4, 1, 1, 0, 100, workers).ready is ready


@BOTH
def test_changes_return_the_server_s_sentence(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as management:
        changed: Management = management
        assert changed.register("echo.mar") == "POST done"
        assert changed.scale("echo", 2) == "PUT done"
        assert changed.set_default("echo", "2.0") == "PUT done"
        assert changed.unregister("echo", "1.0") == "DELETE done"


def test_what_rest_sends(fake_server: FakeServer) -> None:
    with RestManagement(fake_server.server) as management:
        management.register("echo.mar", name="other", initial_workers=0, batch_size=4, max_batch_delay=5)
        management.register("echo.mar", synchronous=False)
        management.scale("echo", 0)
        management.scale("echo", 1, 3, version="2.0", synchronous=False)
        management.set_default("echo", "2.0")
        management.unregister("echo")
    assert [(r["method"], r["path"], r["query"]) for r in fake_server.requests] == [
        (
            "POST",
            "/models",
            {"url": "echo.mar", "model_name": "other", "initial_workers": "0", "batch_size": "4",
             "max_batch_delay": "5", "synchronous": "true"},
        ),
        ("POST", "/models", {"url": "echo.mar", "synchronous": "false"}),
        ("PUT", "/models/echo", {"min_worker": "0", "synchronous": "true"}),
        ("PUT", "/models/echo/2.0", {"min_worker": "1", "max_worker": "3", "synchronous": "false"}),
        ("PUT", "/models/echo/2.0/set-default", {}),
        ("DELETE", "/models/echo", {}),
    ]  # fmt: skip


def test_what_grpc_sends(fake_server: FakeServer) -> None:
    with GrpcManagement(fake_server.server) as management:
        management.register("echo.mar", name="other", initial_workers=2, batch_size=4, max_batch_delay=5)
        management.scale("echo", 1, 3, version="2.0", synchronous=False)
        management.unregister("echo")
    register, scale, unregister = (entry["request"] for entry in fake_server.requests)
    assert (register.url, register.model_name, register.initial_workers) == ("echo.mar", "other", 2)
    assert (register.batch_size, register.max_batch_delay, register.synchronous) == (4, 5, True)
    assert (scale.model_name, scale.model_version, scale.min_worker, scale.max_worker) == ("echo", "2.0", 1, 3)
    assert scale.synchronous is False
    assert (unregister.model_name, unregister.model_version) == ("echo", "")


def test_grpc_cannot_say_zero(fake_server: FakeServer) -> None:
    with GrpcManagement(fake_server.server) as management:
        with pytest.raises(ValueError, match="min_workers: got 0, wanted 1 or more"):
            management.scale("echo", 0)
        with pytest.raises(ValueError, match="initial_workers: got 0"):
            management.register("echo.mar", initial_workers=0)


def test_a_model_called_like_the_path_of_the_keys(fake_server: FakeServer) -> None:
    """TorchServe, like the fake server, takes every management request with "/token" in it for a request of a key."""
    with RestManagement(fake_server.server) as management:
        assert management.describe("tokenizer", "token-2").name
    assert fake_server.requests[-1]["path"] == "/models/%74okenizer/%74oken-2"
    assert fake_server.asked == 0
