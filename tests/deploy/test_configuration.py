"""The server's configuration: keys that TorchServe knows, loopback, the store alone."""

import re
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from deploy.configuration import TEMPLATE, direct_bytes, heap_bytes, queue_length, read, render
from deploy.ports import Ports


def test_torchserve_knows_every_key() -> None:
    """A misspelt key is silently ignored: the names must stand in its own ConfigManager class."""
    spec = find_spec("ts")
    assert spec is not None
    assert spec.origin is not None
    with zipfile.ZipFile(Path(spec.origin).parent / "frontend" / "model-server.jar") as jar:
        known = jar.read("org/pytorch/serve/util/ConfigManager.class")
    for key in read().keys() - {"vmargs"}:  # read by what starts Java: deploy.torchserve
        assert key.encode() in known, key


def test_every_group_of_keys_has_its_reason() -> None:
    blocks = TEMPLATE.read_text().strip().split("\n\n")
    assert all(block.startswith("# ") for block in blocks)


def test_nothing_listens_beyond_loopback_and_archives_come_from_the_store(tmp_path: Path) -> None:
    settings = render(tmp_path, Ports.shifted(100))
    addresses = [value for key, value in settings.items() if key.endswith("_address")]
    assert len(addresses) == 5
    assert all(re.fullmatch(r"(http://)?127\.0\.0\.1(:\d+)?", address) for address in addresses)
    assert settings["inference_address"] == "http://127.0.0.1:8180"
    assert settings["grpc_inference_port"] == "7170"
    allowed = re.compile(settings["allowed_urls"])
    assert allowed.fullmatch(f"file://{tmp_path}/tiny-policy_1.0.mar")
    for name in ("%2e%2e/%2e%2e/x.mar", "../x.mar", "a/b.mar", "a..mar", "x%2emar", "x.mar;y", ".mar", "folder"):
        assert not allowed.fullmatch(f"file://{tmp_path}/{name}"), name
    assert settings["disable_token_authorization"] != "true"  # noqa: S105


GIGABYTE = 1 << 30
LARGEST = int(read()["max_request_size"])


@pytest.mark.parametrize("memory", [4 * GIGABYTE, 24 * GIGABYTE, 256 * GIGABYTE])
@pytest.mark.parametrize("models", [1, 6, 12])
def test_the_heap_holds_what_may_wait(memory: int, models: int) -> None:
    """Requests of the largest size in the queues of all models; of some of them where the machine is small."""
    heap = heap_bytes(memory)
    queue = queue_length(heap, LARGEST, models)
    assert 16 <= queue <= 100
    full = heap // (queue * LARGEST)  # queues that it holds
    assert full >= (models if queue > 16 else 2)
    assert max(GIGABYTE, memory // 4) == heap
    assert heap + direct_bytes(heap) <= max(1.5 * GIGABYTE, 0.32 * memory)


def test_java_gets_what_was_computed(tmp_path: Path) -> None:
    settings = render(tmp_path, Ports(), models=6)
    options = settings["vmargs"].split()
    [heap] = [int(option[4:-1]) << 20 for option in options if option.startswith("-Xmx")]
    assert queue_length(heap, LARGEST, 6) == int(settings["job_queue_size"])
    assert sum(option.startswith("-XX:MaxDirectMemorySize=") for option in options) == 1
    assert "-XX:+ExitOnOutOfMemoryError" in options  # what is left of such a process must not stay


def test_keys_outlive_a_server() -> None:
    assert float(read()["token_expiration_min"]) > 365 * 24 * 60
