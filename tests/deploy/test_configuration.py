"""The server's configuration: keys that TorchServe knows, loopback, the store alone."""

import re
import zipfile
from importlib.util import find_spec
from pathlib import Path

from deploy.configuration import TEMPLATE, read, render
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
