"""The dashboard's structure, then every query and rule against a running server."""

import itertools
import json
import math
import re

import psutil
import pytest
import torch
import yaml

from client import RestManagement, Unavailable
from tests.monitoring.conftest import INPUTS, ROUNDS, World
from tests.monitoring.dashboard import ALL, DASHBOARD, GRAFANA, PANELS, PATH, QUERIES, Query
from tests.monitoring.rules import RECORDS

ROWS = [
    "Traffic and errors",
    "Latency per stage",
    "Batching and queue",
    "Workers and versions",
    "Predicted classes",
    "Drift from the validation data",
    "Hardware",
]
ONE = {"model": "tiny-policy", "version": "1\\\\.0", "__rate_interval": "40s"}
SETTLING = 30.0


def test_the_file_is_sorted() -> None:
    """As it is exported again after a change in the browser, so that the change alone shows."""
    text = json.dumps(DASHBOARD, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert PATH.read_text(encoding="utf-8") == text


def test_identity() -> None:
    assert (DASHBOARD["uid"], DASHBOARD["schemaVersion"], DASHBOARD["id"]) == ("bundle-models", 41, None)
    assert [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"] == ROWS
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_datasource_is_provisioned() -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())
    sources = {(source["type"], source["uid"]) for source in provisioned["datasources"]}
    used = [panel["datasource"] for panel in PANELS] + [target["datasource"] for p in PANELS for target in p["targets"]]
    assert {(source["type"], source["uid"]) for source in used} <= sources
    variables = DASHBOARD["templating"]["list"]
    assert {(variable["datasource"]["type"], variable["datasource"]["uid"]) for variable in variables} <= sources


def test_the_dashboard_is_provisioned() -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "models.yml").read_text())
    assert [provider["type"] for provider in provisioned["providers"]] == ["file"]


def test_panels_do_not_overlap() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        across = range(place["x"], place["x"] + place["w"])
        mine = set(itertools.product(across, range(place["y"], place["y"] + place["h"])))
        assert across.stop <= 24
        assert not cells & mine, panel["title"]
        cells |= mine


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_explains_itself(panel: dict[str, object]) -> None:
    assert panel["title"]
    assert str(panel["description"]).endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]  # type: ignore[index]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"]  # type: ignore[index]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_query_uses_what_there_is(query: Query) -> None:
    """Variables of the dashboard or of Grafana, and recording rules that exist."""
    query.filled(ALL)
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"model", "version"}
    assert set(re.findall(r"\b[a-z_]+:[a-z0-9_]+:[a-z0-9_]+", query.expression)) <= set(RECORDS)


def has_value(world: World, expression: str) -> bool:
    return any(math.isfinite(value) for _, value in world.prometheus.query(expression))


@pytest.mark.e2e
@pytest.mark.parametrize("variables", [ALL, ONE], ids=["all", "one"])
@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_panel_has_data(world: World, query: Query, variables: dict[str, str]) -> None:
    expression = query.filled(variables)
    if query.of_gpu and not torch.cuda.device_count():
        world.prometheus.query(expression)
    else:
        assert world.prometheus.wait(lambda: has_value(world, expression), SETTLING), expression


@pytest.mark.e2e
@pytest.mark.parametrize("variable", DASHBOARD["templating"]["list"], ids=lambda variable: variable["name"])
def test_a_variable_has_values(world: World, variable: dict[str, str]) -> None:
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
    assert found
    selector = found[1].replace("$model", ".*")
    values = {labels[found[2]] for labels, _ in world.prometheus.query(selector)}
    assert values == {"model": set(INPUTS), "version": {"1.0"}}[variable["name"]]


@pytest.mark.e2e
@pytest.mark.parametrize("record", RECORDS)
def test_a_recording_rule_has_samples(world: World, record: str) -> None:
    if "gpu" in record and not torch.cuda.device_count():
        assert not world.prometheus.query(record)
    else:
        assert world.prometheus.wait(lambda: has_value(world, record), SETTLING), record


@pytest.mark.e2e
def test_every_rule_is_evaluated(world: World) -> None:
    rules = world.prometheus.rules("record") + world.prometheus.rules("alert")
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}


@pytest.mark.e2e
def test_labels_are_the_same_everywhere(world: World) -> None:
    """Whatever TorchServe calls them."""
    names = {name for labels, _ in world.prometheus.query('{job="torchserve"}') for name in labels}
    common = {"__name__", "instance", "job"}
    assert names - common <= {"model", "version", "code", "class", "feature", "bin", "device", "le", "WorkerName"}


@pytest.mark.e2e
def test_every_request_is_counted_once(world: World) -> None:
    """The requests over REST and gRPC, and each model's warm-up request."""

    def answered() -> dict[tuple[str, str], float]:
        found = world.prometheus.query("sum by (model, code) (ModelRequests)")
        return {(labels["model"], labels["code"]): value for labels, value in found}

    sent = {(model, str(code)): 2.0 * ROUNDS for model, (_, _, code) in INPUTS.items()}
    sent |= {(model, "200"): 2.0 * ROUNDS + 1 for model in INPUTS}
    # Both come with a scrape: the last requests are not in the one before.
    world.prometheus.wait(lambda: answered() == sent, SETTLING)
    assert answered() == sent

    def received() -> dict[str, float]:
        found = world.prometheus.query("sum by (model) (instance_model:requests_received:sum)")
        return {labels["model"]: value for labels, value in found}

    world.prometheus.wait(lambda: received() == dict.fromkeys(INPUTS, 4.0 * ROUNDS + 1), SETTLING)
    assert received() == dict.fromkeys(INPUTS, 4.0 * ROUNDS + 1)


@pytest.mark.e2e
def test_alerts_of_a_server_in_trouble(world: World) -> None:
    """Callers' errors wake nobody; requests that TorchServe refuses by itself do, and a dead worker is reported."""
    prometheus = world.prometheus
    # Between the scrapes of a request's reception and of its answer it looks like a failed one.
    assert prometheus.wait(lambda: not prometheus.firing(), SETTLING), prometheus.firing()
    with RestManagement(world.torchserve.server) as management:
        psutil.Process(management.describe("tiny-text").workers[0].pid).kill()
        assert prometheus.wait(lambda: "WorkerDied" in prometheus.firing(), 60)
        assert "WorkerRestarted" not in prometheus.firing()  # the verdict is known
        management.scale("tiny-policy", 0)
        for client in (world.rest, world.grpc):
            for _ in range(10):
                with pytest.raises(Unavailable):
                    client.predict("tiny-policy", INPUTS["tiny-policy"][0])
        expected = {"ModelErrorBudgetBurnsFast", "EdgeErrorBudgetBurnsFast"}
        assert prometheus.wait(lambda: prometheus.firing() >= expected, 30), prometheus.firing()
        failing = prometheus.query("model:requests_failed:ratio_rate5m > 0")
        assert [labels["model"] for labels, _ in failing] == ["tiny-policy"]
        management.scale("tiny-policy", 1)
        assert prometheus.wait(lambda: prometheus.query("bundle_ready == 1"), 60)
