"""Memory that large requests have left with Java is given back while it has little to do."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from deploy.ports import Ports
from deploy.readiness import load
from deploy.supervision import java_memory
from deploy.supervision.java_memory import GROWN, JavaMemory
from deploy.torchserve import TorchServe


@pytest.fixture(scope="module")
def server(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServe]:
    archive = tiny_archive("tiny-values")
    with TorchServe(archive.parent, tmp_path_factory.mktemp("run"), Ports.free(), tokens=False) as made:
        load(made.run, [archive])
        yield made


def size(server: TorchServe) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


def burst(server: TorchServe) -> None:
    body = os.urandom(16 << 20)

    def send(_: int) -> None:
        requests.post(f"{server.server.inference}/predictions/tiny-values", data=body, timeout=300)

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(send, range(24)))


def test_a_burst_of_large_requests(server: TorchServe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java_memory, "WINDOW", 2.0)
    memory, before = JavaMemory(), size(server)
    memory.look(server.process.pid)
    burst(server)
    assert size(server) > before + 3 * GROWN
    end = time.monotonic() + 60
    while size(server) > before + 2 * GROWN and time.monotonic() < end:
        memory.look(server.process.pid)
        time.sleep(0.5)
    assert size(server) <= before + 2 * GROWN


def test_a_process_that_is_busy_or_small_is_let_be(server: TorchServe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java_memory, "WINDOW", 0.0)
    memory = JavaMemory()
    for _ in range(5):
        memory.look(server.process.pid)
    assert memory.collecting is None  # it has not grown
    memory.left = 1
    monkeypatch.setattr(java_memory, "BUSY", 0.0)
    memory.look(server.process.pid)
    assert memory.collecting is None


def test_one_collection_does_not_follow_another_soon(server: TorchServe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java_memory, "WINDOW", 0.0)
    memory = JavaMemory()
    memory.look(server.process.pid)
    for spacing, wanted in ((300.0, False), (0.0, True)):
        monkeypatch.setattr(java_memory, "SPACING", spacing)
        memory.left, memory.collected = 1, time.monotonic()
        memory.look(server.process.pid)
        assert (memory.collecting is not None) == wanted
    assert memory.collecting
    assert memory.collecting.wait(30) == 0


def test_a_collection_that_does_not_end(
    server: TorchServe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when Java has been stopped: nothing waits for it."""
    monkeypatch.setattr(java_memory, "WINDOW", 0.0)
    monkeypatch.setattr(java_memory, "PATIENCE", 1.0)
    memory = JavaMemory()
    memory.look(server.process.pid)
    memory.left = 1
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        memory.look(server.process.pid)
        assert memory.collecting
        assert time.monotonic() - began < 1
        collecting = memory.collecting
        time.sleep(1.2)
        memory.look(server.process.pid)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    assert memory.collecting is None
    assert collecting.returncode is not None
    assert "could not be collected" in caplog.text


def test_a_command_that_is_missing(
    server: TorchServe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(java_memory, "WINDOW", 0.0)
    monkeypatch.setattr(java_memory, "JCMD", Path("missing"))
    memory = JavaMemory()
    memory.look(server.process.pid)
    memory.left = 1
    memory.look(server.process.pid)
    assert memory.collecting is None
    assert "could not be collected" in caplog.text


def test_a_process_that_has_gone() -> None:
    JavaMemory().look(2**22 - 1)
