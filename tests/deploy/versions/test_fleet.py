"""A fleet of two servers, each with its edge, operated over gRPC; and outcomes of calls through a real edge."""

import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from client import RestManagement
from deploy.edge import clients, process, traffic
from deploy.ports import Ports
from deploy.readiness import load as load_models
from deploy.run_folder import state_of
from deploy.torchserve import TorchServe
from tests.deploy.versions.conftest import MODEL, Served
from tests.deploy.versions.load import OBSERVATION, load

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def second(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Another server with the same model and the same callers."""
    folder = tmp_path_factory.mktemp("second")
    settings, store = folder / "secrets", folder / "store"
    settings.mkdir()
    store.mkdir()
    shutil.copy(served.settings / clients.NAME, settings)
    shutil.copy(served.run.parent / "store" / "tiny-policy.mar", store)
    ports = Ports.free()
    with TorchServe(store, folder / "run", ports) as torchserve:
        load_models(torchserve.run, [store / "tiny-policy.mar"])
        process.start(torchserve.run, ports, [MODEL], settings)
        yield Served(torchserve.run, settings, served.folder, served.artifact)


@pytest.fixture(scope="module")
def fleet(served: Served, second: Served, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def member(name: str, each: Served) -> dict[str, str]:
        metrics = (state_of(each.run) or {})["torchserve"]["metrics"] + "/metrics"
        log = each.run / "logs" / "edge.log"
        places = {"server": each.run / "server.json", "settings": each.settings, "log": log}
        return {"name": name, "metrics": metrics, **{place: str(path) for place, path in places.items()}}

    file = tmp_path_factory.mktemp("fleet") / "fleet.yaml"
    file.write_text(yaml.safe_dump({"servers": [member("a", served), member("b", second)]}))
    return file


def both(served: Served, second: Served) -> list[list[str]]:
    return [served.versions(), second.versions()]


def test_a_version_comes_and_goes_on_both_or_on_none(served: Served, second: Served, fleet: Path) -> None:
    new = served.archive("6.0")
    over = ("--fleet", fleet, "--grpc")
    stores = [each.run.parent / "store" for each in (served, second)]
    shutil.copy(new, stores[0])  # and not where the other one looks
    failed = served.deploy("register", new, *over)
    assert failed.exit_code != 0
    assert "undone: a: tiny-policy 6.0 registered" in failed.output
    assert both(served, second) == [["1.0"], ["1.0"]]
    shutil.copy(new, stores[1])
    served.done("register", new, *over)
    served.done("set-default", MODEL, "6.0", *over)
    assert both(served, second) == [["1.0", "6.0"], ["1.0", "6.0"]]
    for each in (served, second):
        with RestManagement(each.server) as management:
            assert management.describe(MODEL).version == "6.0"
    with load(served.server, MODEL) as one, load(second.server, MODEL) as other:
        served.done("set-default", MODEL, "1.0", *over)
        served.done("unregister", MODEL, "6.0", *over)
    assert one.failed == other.failed == []
    assert both(served, second) == [["1.0"], ["1.0"]]


def test_a_rollout_takes_both_along(served: Served, second: Served, fleet: Path) -> None:
    new = served.archive("6.1")
    for each in (served, second):
        shutil.copy(new, each.run.parent / "store")
    quick = ("--steps", "20,100", "--hold", 3, "--patience", 60, "--no-verify", "--fleet", fleet, "--grpc")
    with load(served.server, MODEL) as one, load(second.server, MODEL) as other:
        said = served.done("rollout", MODEL, new, *quick, "--json")
    summary = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert (summary["outcome"], summary["new"]["version"]) == ("promoted", "6.1")
    assert one.failed == other.failed == []
    assert both(served, second) == [["6.1"], ["6.1"]]
    for each, calls in ((served, one), (second, other)):
        assert calls.versions()["6.1"] > 0
        assert traffic.read(each.settings / traffic.NAME).models == {}
    served.done("register", served.run.parent / "store" / "tiny-policy.mar", "--default", "--fleet", fleet, "--grpc")
    served.done("unregister", MODEL, "6.1", "--fleet", fleet, "--grpc")


def test_outcomes_of_calls_through_the_edge(served: Served, tmp_path: Path) -> None:
    served.done("register", served.archive("6.2"))
    served.done("split", MODEL, "1.0=50", "6.2=50")
    key = json.loads((served.run / "edge_keys.json").read_text())["inference"]["key"]
    path = f"{served.server.inference}/predictions/{MODEL}"
    chance, lines = random.Random(6), []
    with requests.Session() as session:
        session.verify, session.trust_env = str(served.server.ca_file), False
        session.headers["authorization"] = f"Bearer {key}"
        end = time.monotonic() + 20
        while "model-version" not in session.post(path, json=OBSERVATION, timeout=30).headers:
            assert time.monotonic() < end  # the edge reads its settings within a second, on a machine that is not busy
        for _ in range(400):
            answer = session.post(path, json=OBSERVATION, timeout=30)
            assert answer.ok, answer.text
            good = chance.random() < {"1.0": 0.5, "6.2": 0.9}[answer.headers["model-version"]]
            said = {"request_id": answer.headers["x-request-id"], "outcome": "success" if good else "failure"}
            lines.append(json.dumps(said))
        named = session.post(f"{path}/6.2", json=OBSERVATION, timeout=30)
    lines.append(json.dumps({"request_id": named.headers["x-request-id"], "outcome": "failure"}))
    time.sleep(2)  # the edge writes its log once a second
    file = tmp_path / "outcomes.jsonl"
    file.write_text("\n".join(lines))
    counts = json.loads(served.done("feedback", MODEL, "--from", file, "--json"))
    assert counts == {"added": 400, "known": 0, "unknown": 1}  # a call that named its version says nothing of chance
    again = json.loads(served.done("feedback", MODEL, "--from", file, "--json"))
    assert again == {"added": 0, "known": 400, "unknown": 1}
    verdict = json.loads(served.done("compare", MODEL, "1.0", "6.2", "--json"))
    assert (verdict["better"], verdict["stop"]) == ("6.2", True)
    served.done("split", MODEL, "--end")
    served.done("unregister", MODEL, "6.2")
