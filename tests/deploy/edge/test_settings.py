"""Settings that change while the edge runs: keys, certificate, who may manage."""

import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import requests

from deploy.edge import certificate, clients, traffic
from deploy.edge.network import Upstream
from deploy.edge.private_file import write_private
from deploy.edge.watched import Watched
from deploy.errors import DeployError
from deploy.ports import HOST
from tests.deploy.envoy.mirrored_edge import KEYS, Edge, callers, mirrored


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    with mirrored(tmp_path) as made:
        yield made


@pytest.mark.e2e
def test_keys_and_certificate_change_under_load(edge: Edge, tmp_path: Path) -> None:
    """A new key and a revoked one count within seconds, and no call with a key that stays fails."""
    address = f"https://{HOST}:{edge.ports.edge}/predictions/model"
    codes: Counter[int] = Counter()
    ended = threading.Event()

    def load(session: requests.Session) -> None:
        while not ended.is_set():
            codes[session.post(address, data=b"x", timeout=20).status_code] += 1

    def code(key: str) -> int:
        with edge.connection(key) as session:
            return session.post(address, data=b"x", timeout=20).status_code

    first = shutil.copyfile(edge.settings / certificate.CERTIFICATE, tmp_path / "first.crt")
    sessions = [edge.connection(KEYS["default"]) for _ in range(3)]
    for session in sessions:
        session.verify = str(first)  # which a new connection would not pass: each keeps the one that it has
    threads = [threading.Thread(target=load, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    try:
        old, new = "c" * 32, "d" * 32
        for keys in ({**KEYS, "other": old}, {**KEYS, "other": new}, KEYS):
            write_private(edge.settings / clients.NAME, callers(keys))
            assert "api_key_auth.json" in edge.watched.refresh()
            wanted = [200 if key in keys.values() else 401 for key in (old, new)]
            edge.until(partial(lambda wanted: [code(old), code(new)] == wanted, wanted))
        before = (edge.settings / certificate.CERTIFICATE).read_text()
        for name in (certificate.CERTIFICATE, certificate.KEY):
            (edge.settings / name).unlink()
        certificate.ensure(edge.settings, ["localhost", HOST])
        assert edge.watched.refresh() == "the edge has new settings: certificate.json"
        assert (edge.settings / certificate.CERTIFICATE).read_text() != before

        def renewed() -> bool:
            try:
                return code(KEYS["default"]) == 200
            except requests.exceptions.SSLError:
                return False

        edge.until(renewed)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for session in sessions:
            session.close()
    assert codes.keys() == {200}
    assert codes[200] > 50
    assert edge.watched.key_file is not None
    assert json.loads(edge.watched.key_file.read_text())["inference"]["key"] == KEYS["default"]


@pytest.mark.e2e
def test_who_may_manage_and_which_pages_may_ask(edge: Edge) -> None:
    def codes() -> list[int]:
        address = f"https://{HOST}:{edge.ports.edge}/models"
        return [edge.connection(key).get(address, timeout=20).status_code for key in KEYS.values()]

    assert codes() == [403, 200]
    write_private(edge.settings / clients.NAME, callers({"admin": KEYS["default"], "other": KEYS["admin"]}))
    edge.watched.refresh()
    edge.until(lambda: codes() == [200, 403])
    origin = "https://app.example.org"
    assert "access-control-allow-origin" not in edge.ask(origin=origin).headers
    write_private(edge.settings / clients.NAME, callers(KEYS, allowed_origins=[origin]))
    edge.watched.refresh()
    edge.until(lambda: edge.ask(origin=origin).headers.get("access-control-allow-origin") == origin)


@pytest.mark.e2e
def test_a_wrong_setting_changes_nothing_and_is_reported_once(edge: Edge) -> None:
    edge.split(versions={"1.0": 100})
    path = edge.settings / traffic.NAME
    for text in ("models: {model: {versions: {a: 10}}}", "models: [", "nothing: 1", "models: {model: {versions: {}}}"):
        path.write_text(text)
        assert str(path) in edge.watched.refresh()
        assert edge.watched.refresh() == ""
    write_private(edge.settings / clients.NAME, "clients: {a: {key: short}}")
    assert "short" not in edge.watched.refresh()
    assert edge.ask().headers["model-version"] == "1.0"


def test_what_differs_is_written_and_nothing_else(tmp_path: Path) -> None:
    """A rate that is counted would start again."""
    settings = tmp_path / "settings"
    clients.ensure(settings / clients.NAME)
    certificate.ensure(settings, ["localhost"])
    (tmp_path / "edge").mkdir()
    upstream = Upstream(HOST, 1, 2, 3, 4, 5, 6, {})
    watched = Watched(settings, tmp_path / "edge", tmp_path / "keys.json", lambda: upstream)
    assert len(watched.write()) == 5
    assert watched.write() == []
    text = (settings / clients.NAME).read_text()
    (settings / clients.NAME).write_text(f"{text}allowed_origins: ['https://app.example.org']\n")
    assert watched.refresh() == "the edge has new settings: routes.json"
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "edge").iterdir())


def test_a_server_that_is_started_again_has_new_keys(tmp_path: Path) -> None:
    """Its edge goes on, and gives it those; a file that is not written yet changes nothing."""
    settings, keys = tmp_path / "settings", tmp_path / "key_file.json"
    clients.ensure(settings / clients.NAME)
    certificate.ensure(settings, ["localhost"])
    (tmp_path / "edge").mkdir()

    def upstream() -> Upstream:
        try:
            return Upstream(HOST, 1, 2, 3, 4, 5, 6, {"rest": json.loads(keys.read_text())["key"]})
        except ValueError:
            raise DeployError("not yet") from None

    keys.write_text('{"key": "first"}')
    watched = Watched(settings, tmp_path / "edge", tmp_path / "keys.json", upstream, server_keys=keys)
    watched.write()
    assert watched.refresh() == ""
    keys.write_text('{"key": "sec')
    assert "not yet" in watched.refresh()
    assert "first" in (tmp_path / "edge" / "routes.json").read_text()
    keys.write_text('{"key": "second"}')
    assert watched.refresh() == "the edge has new settings: routes.json"
    assert "second" in (tmp_path / "edge" / "routes.json").read_text()
