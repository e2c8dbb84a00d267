"""Inputs that end workers of a real server: what callers get over each protocol, and what the operator sees."""

import json
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import orjson
import pytest
import requests
from typer.testing import CliRunner, Result

from client import Answer, ClientError, GrpcClient, RestClient
from client.payload import Payload
from deploy.run_folder import state_of
from deploy.versions.command import app
from tests.deploy.versions.conftest import MODEL, Served
from tests.deploy.versions.load import OBSERVATION
from zygote import death_record, quarantine
from zygote.death import Death, Verdict
from zygote.shared_progress import Held

DEADLY = [4.0, 0.0, 0.0, 0.0]
BODY = orjson.dumps({"data": DEADLY})
TENSOR = {"inputs": [{"name": "observation", "shape": [1, 4], "datatype": "FP32", "data": DEADLY}]}


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"BUNDLE_RUN": str(folder)})


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A run folder with three inputs on the list, and one that has ended a single worker."""
    folder = tmp_path / "deaths"
    folder.mkdir()
    for model, version, digest, deaths in (
        ("a", "1.0", "1" * 64, 2),
        ("a", "2.0", "2" * 64, 3),
        ("b", "1.0", "3" * 64, 2),
    ):
        death = Death(Verdict.SIGNAL, model, 7, "SIGSEGV", (Held("1", digest, 3),), 0, version)
        death_record.blame(str(folder), death, deaths)
    death_record.blame(str(folder), Death(Verdict.HUNG, "a", 7, "", (Held("1", "4" * 64, 3),), 0, "1.0"), 1)
    return tmp_path


def test_the_list_is_shown_and_cleared(listed: Path) -> None:
    def left() -> list[str]:
        return [each["sha256"][0] for each in json.loads(run(listed, "quarantine", "list", "--json").stdout)]

    assert left() == ["1", "2", "3"]
    shown = run(listed, "quarantine", "list", "a", "--version", "2.0").stdout
    assert "2" * 64 in shown
    assert "1" * 64 not in shown
    assert run(listed, "quarantine", "clear", "a", "--version", "1.0").stdout == "1 cleared\n"
    assert left() == ["2", "3"]
    assert len(quarantine.entries(str(listed / "deaths"))) == 2  # nor does the single death count any more
    assert run(listed, "quarantine", "clear", "--input", "3" * 8).exit_code == 0
    assert left() == ["2"]
    unknown = run(listed, "quarantine", "clear", "--input", "9" * 8)
    assert (unknown.exit_code, unknown.stderr) == (
        1,
        "quarantine: no input whose SHA-256 begins with 99999999 is refused\n",
    )
    assert run(listed, "quarantine", "clear", "--input", "2").exit_code == 1
    assert run(listed, "quarantine", "clear").stdout == "1 cleared\n"
    assert run(listed, "quarantine", "list").stdout == "no input is refused\n"


def test_without_a_server(tmp_path: Path) -> None:
    done = run(tmp_path, "quarantine", "list")
    assert done.exit_code == 1
    assert "no server is running on this machine" in done.stderr


@pytest.fixture
def deadly(served: Served) -> Iterator[Served]:
    served.done("register", served.faulty("9.0", "Deadly"))
    yield served
    served.done("unregister", MODEL, "9.0")


def whole(asked: Answer | Iterator[Answer]) -> None:
    """Read an answer to its end."""
    for _ in () if isinstance(asked, Answer) else asked:
        pass


def error(
    served: Served, kind: type[RestClient] | type[GrpcClient], payload: Payload, stream: bool = False
) -> ClientError:
    with kind(served.server) as client:
        asked = client.stream if stream else client.predict
        with pytest.raises(ClientError) as raised:
            whole(asked(MODEL, payload, content_type="application/json", version="9.0"))
    return raised.value


@pytest.mark.e2e
def test_over_every_protocol(deadly: Served) -> None:
    first = error(deadly, RestClient, BODY)
    assert (first.code, first.type) == (500, "InternalError")
    started = time.monotonic()
    for kind in (RestClient, GrpcClient):
        for stream in (False, True):
            found = error(deadly, kind, BODY, stream)
            assert (found.code, found.type) == (422, "Quarantined")
            assert sha256(BODY).hexdigest()[:16] in found.message
    assert time.monotonic() - started < 5
    # KServe's form is another input, whoever sends it.
    assert error(deadly, GrpcClient, TENSOR).code == 500
    for kind in (RestClient, GrpcClient):
        assert error(deadly, kind, TENSOR).type == "Quarantined"
    with RestClient(deadly.server) as client:
        for version in ("1.0", "9.0"):
            assert client.predict(MODEL, OBSERVATION, version=version).json()["action"] in (0, 1)
        assert client.predict(MODEL, BODY, content_type="application/json", version="1.0").json()  # of that alone

    rows = {row["version"]: row for row in json.loads(deadly.done("status", MODEL, "--json"))}
    assert (rows["9.0"]["deaths"], rows["9.0"]["quarantined"]) == ({"signal": 4}, 2)
    assert [death["requests"][0]["sha256"] for death in rows["9.0"]["last_deaths"][:2]] == [
        sha256(BODY).hexdigest()
    ] * 2
    assert rows["1.0"]["quarantined"] == 0
    shown = deadly.done("status", MODEL)
    assert "SIGSEGV" in shown
    assert sha256(BODY).hexdigest()[:12] in shown
    ports = (state_of(deadly.run) or {})["ports"]
    page = requests.get(f"http://127.0.0.1:{ports['status']}/metrics", timeout=10).text
    assert f'bundle_worker_deaths_total{{model="{MODEL}",verdict="signal",version="9.0"}} 4.0' in page
    assert f'bundle_worker_deaths_total{{model="{MODEL}",verdict="hung",version="9.0"}} 0.0' in page
    assert f'bundle_quarantined_inputs{{model="{MODEL}",version="9.0"}} 2.0' in page

    cleared = run(deadly.run, "quarantine", "clear", MODEL, "--input", sha256(BODY).hexdigest()[:8])
    assert cleared.stdout == "1 cleared\n"
    assert error(deadly, RestClient, BODY).code == 500
    assert error(deadly, RestClient, TENSOR).type == "Quarantined"
