"""An edge in a pod: what it writes of a Secret's folder, as Envoy itself reads it, and how it drains."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from deploy.edge import certificate, clients
from deploy.edge.configuration import BOOTSTRAP
from deploy.edge.process import envoy
from deploy.errors import DeployError
from deploy.kubernetes.edge import ADMIN, DRAIN, Draining, write
from deploy.ports import free_ports

FILTERS = "type.googleapis.com/envoy.extensions.filters"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """As Kubernetes mounts a Secret: links to files in a folder that another takes the place of."""
    folder = tmp_path / "settings"
    first = folder / "..2026_1"
    first.mkdir(parents=True)
    clients.ensure(first / clients.NAME)
    certificate.ensure(first, ["localhost"])
    (folder / "..data").symlink_to(first.name)
    for name in (clients.NAME, certificate.CERTIFICATE, certificate.KEY):
        (folder / name).symlink_to(Path("..data") / name)
    return folder


@pytest.fixture
def edge(tmp_path: Path) -> Path:
    (tmp_path / "edge").mkdir()
    return tmp_path / "edge"


def validate(edge: Path) -> None:
    done = subprocess.run(
        [envoy(), "--mode", "validate", "-c", edge / BOOTSTRAP], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_envoy_takes_what_is_written(settings: Path, edge: Path) -> None:
    write(settings, edge, "torchserve-servers")
    validate(edge)
    assert '"address": "torchserve-servers"' in (edge / BOOTSTRAP).read_text()
    assert all(path.stat().st_mode & 0o077 == 0 for path in edge.iterdir())  # they hold keys


def test_spans_go_where_the_environment_says(settings: Path, edge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector.example.org:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret-of-the-test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(settings / certificate.CERTIFICATE))
    write(settings, edge, "torchserve-servers")
    validate(edge)
    bootstrap = json.loads((edge / BOOTSTRAP).read_text())
    [collector] = [each for each in bootstrap["static_resources"]["clusters"] if each["name"] == "traces"]
    assert "collector.example.org" in json.dumps(collector["load_assignment"])
    assert "Bearer secret-of-the-test" in json.dumps(bootstrap["static_resources"]["listeners"])
    assert (edge / BOOTSTRAP).stat().st_mode & 0o077 == 0


def test_a_wrong_setting_of_tracing_is_named(settings: Path, edge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")
    with pytest.raises(DeployError, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        write(settings, edge, "torchserve-servers")
    assert not (edge / BOOTSTRAP).exists()


def test_a_changed_secret_counts(settings: Path, edge: Path) -> None:
    watched = write(settings, edge, "servers")
    assert watched.refresh() == ""
    second = settings / "..2026_2"
    shutil.copytree(settings / "..2026_1", second)
    (second / clients.NAME).unlink()
    key = next(iter(clients.ensure(second / clients.NAME).clients.values())).key
    (settings / "..data_tmp").symlink_to(second.name)
    (settings / "..data_tmp").replace(settings / "..data")
    assert "new settings" in watched.refresh()
    assert any(key in path.read_text() for path in edge.iterdir())


def test_a_secret_without_keys_is_named(settings: Path, edge: Path) -> None:
    (settings / clients.NAME).unlink()
    with pytest.raises(DeployError, match=r"settings has no clients\.yaml"):
        write(settings, edge, "servers")
    assert not (edge / BOOTSTRAP).exists()


@pytest.fixture
def port(edge: Path) -> Iterator[int]:
    """An Envoy whose administration is where an edge's is, and which answers everything with 200."""
    [port] = free_ports(1)
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "test",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    bootstrap = {
        "admin": {"address": {"pipe": {"path": str(edge / ADMIN)}}},
        "static_resources": {"listeners": [listener]},
    }
    (edge / BOOTSTRAP).write_text(json.dumps(bootstrap))
    command: list[str | Path] = [envoy(), "-c", edge / BOOTSTRAP, "--use-dynamic-base-id", "--log-level", "error"]
    process = subprocess.Popen(command)
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                requests.get(f"http://127.0.0.1:{port}/", timeout=2)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def test_it_asks_callers_to_connect_elsewhere_once_it_is_to_end(edge: Path, port: int) -> None:
    address = f"http://127.0.0.1:{port}/"
    draining = Draining(edge)
    with requests.Session() as session:
        assert draining.look() == ""
        assert session.get(address, timeout=5).headers.get("connection") != "close"
        (edge / DRAIN).touch()
        assert draining.look() == "draining"
        answer = session.get(address, timeout=5)  # on the connection that is there
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert draining.look() == ""


def test_an_envoy_that_does_not_answer_is_reported_and_asked_again(edge: Path) -> None:
    (edge / DRAIN).touch()
    draining = Draining(edge)
    assert "does not drain" in draining.look()
    assert "does not drain" in draining.look()
