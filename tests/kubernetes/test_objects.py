"""The objects agree with one another and with the server: ports, names, paths, times."""

import inspect
import re
from collections import defaultdict
from typing import Any

import pytest
import yaml

from deploy import status
from deploy.__main__ import app, run_command
from deploy.configuration import PROJECT
from deploy.fetching.__main__ import app as fetch_app
from deploy.fetching.source import Source
from deploy.kubernetes.rendering import Object, by_key, template
from deploy.ports import Ports
from deploy.processes import GRACE
from deploy.serving.container import QUIET
from deploy.surface import status_server
from tests.kubernetes.matrix import MATRIX, containers, environment, merged, pods, rendered

TRACED = ("OTEL_", "POD_")  # test_tracing.py has their values


def of_kind(objects: list[Object], kind: str) -> dict[str, Object]:
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == kind}


def labels_of(deployment: Object) -> dict[str, str]:
    found: dict[str, str] = deployment["spec"]["template"]["metadata"]["labels"]
    return found


def selected(objects: list[Object], selector: dict[str, str]) -> list[Object]:
    """The Deployments whose pods have these labels."""
    return [each for each in of_kind(objects, "Deployment").values() if selector.items() <= labels_of(each).items()]


def port_names(deployment: Object) -> set[str]:
    pod = deployment["spec"]["template"]["spec"]
    return {port["name"] for container in containers(pod) for port in container.get("ports", ())}


def test_the_ports_are_those_that_the_server_and_the_edge_listen_on() -> None:
    ports = Ports()
    server, edge = (of_kind(rendered("default"), "Deployment")[f"torchserve-{name}"] for name in ("server", "edge"))
    named = {
        port["name"]: port["containerPort"]
        for deployment in (server, edge)
        for container in deployment["spec"]["template"]["spec"]["containers"]
        for port in container["ports"]
    }
    assert named == {
        "rest": ports.inference,
        "grpc": ports.grpc,
        "open-inference": ports.open_inference,
        "management": ports.management,
        "grpc-management": ports.grpc_management,
        "metrics": ports.metrics,
        "status": ports.status,
        "https": ports.edge,
        "stats": ports.edge_stats,
    }


@pytest.mark.parametrize("name", MATRIX)
def test_every_service_budget_policy_and_monitor_selects_pods_that_have_its_ports(name: str) -> None:
    objects = rendered(name)
    for service in of_kind(objects, "Service").values():
        [deployment] = selected(objects, service["spec"]["selector"])
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= port_names(deployment)
    for kind in ("PodDisruptionBudget", "PodMonitor"):
        for item in of_kind(objects, kind).values():
            [deployment] = selected(objects, item["spec"]["selector"]["matchLabels"])
            asked = {endpoint["port"] for endpoint in item["spec"].get("podMetricsEndpoints", ())}
            assert asked <= port_names(deployment)
    for policy in of_kind(objects, "NetworkPolicy").values():
        [deployment, *others] = selected(objects, policy["spec"]["podSelector"]["matchLabels"])
        assert not others or policy["spec"]["policyTypes"] == ["Egress"]
        for rule in policy["spec"].get("ingress", ()):
            assert {port["port"] for port in rule["ports"]} <= port_names(deployment)
    for deployment in of_kind(objects, "Deployment").values():
        assert selected(objects, deployment["spec"]["selector"]["matchLabels"]) == [deployment]
        for constraint in deployment["spec"]["template"]["spec"].get("topologySpreadConstraints", ()):
            assert selected(objects, constraint["labelSelector"]["matchLabels"]) == [deployment]


@pytest.mark.parametrize("name", ["default", "monitoring", "gateway", "callers"])
def test_nothing_but_the_edge_and_prometheus_reaches_torchserve(name: str) -> None:
    objects = rendered(name)
    server = of_kind(objects, "Deployment")["torchserve-server"]
    policies = [
        policy["spec"]
        for policy in of_kind(objects, "NetworkPolicy").values()
        if policy["spec"]["podSelector"]["matchLabels"].items() <= labels_of(server).items()
    ]
    reached: dict[str, list[str]] = defaultdict(list)
    for policy in policies:
        for rule in policy["ingress"]:
            assert rule["from"], "a rule without `from` lets everybody in"
            for port in rule["ports"]:
                reached[port["port"]] += [peer_name(peer) for peer in rule["from"]]
    gateway = ["gateway-system"] if name == "gateway" else []
    assert {port: sorted(peers) for port, peers in reached.items()} == {
        **{port: sorted(["edge", *gateway]) for port in ("rest", "grpc", "open-inference")},
        **{port: ["edge"] for port in ("management", "grpc-management")},
        "status": ["edge", "monitoring"],
        "metrics": ["monitoring"],
    }
    assert all(not policy.get("egress") for policy in policies)


def peer_name(peer: Object) -> str:
    """A component of ours, or a namespace."""
    [selector] = peer.values()
    labels: dict[str, str] = selector["matchLabels"]
    return labels.get("app.kubernetes.io/component") or labels["kubernetes.io/metadata.name"]


@pytest.mark.parametrize("name", MATRIX)
def test_the_grace_period_is_longer_than_what_ends_the_server(name: str) -> None:
    """The preStop, draining, what is left of its last pause, and the end of TorchServe with its workers."""
    values = merged({"preStopSeconds": 5, "drainSeconds": 20}, MATRIX[name])
    for deployment in of_kind(rendered(name), "Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        if "server" in {container["name"] for container in pod["containers"]}:
            needed = values["preStopSeconds"] + max(values["drainSeconds"], QUIET) + QUIET + 2 * GRACE
            assert pod["terminationGracePeriodSeconds"] > needed
            assert pod["containers"][0]["args"][-2:] == ["--grace", str(values["drainSeconds"])]
        else:
            [seconds] = re.findall(r"sleep (\d+)", str(pod["containers"][0]["lifecycle"]))
            assert pod["terminationGracePeriodSeconds"] > int(seconds)


def test_it_leaves_longer_for_a_longer_drain() -> None:
    longer = of_kind(template({"drainSeconds": 300, "preStopSeconds": 30}), "Deployment")["torchserve-server"]
    assert longer["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 370


@pytest.mark.parametrize("name", MATRIX)
def test_the_containers_of_our_images_are_started_with_options_that_they_have(name: str) -> None:
    import typer

    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    fetching = typer.main.get_command(fetch_app)
    for pod in pods(rendered(name)):
        for container in containers(pod):
            if "command" in container:  # Envoy
                continue
            command, options = (commands.get(container["args"][0]) or fetching), container["args"]
            known = {option for parameter in command.params for option in parameter.opts}
            assert {option for option in options if option.startswith("--")} <= known
            variables = {parameter.envvar for parameter in command.params}
            assert {each for each in environment(container) if not each.startswith(TRACED)} <= variables


def test_the_probes_ask_for_paths_that_the_status_answers() -> None:
    answered = set(re.findall(r'self\.path == "(/\w+)"', inspect.getsource(status_server)))
    for pod in pods(rendered("default")) + pods(rendered("kserve")):
        for container in pod["containers"]:
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                probe = container[kind].get("httpGet")
                if probe and probe["port"] == Ports().status:
                    assert probe["path"] in answered


def test_archives_are_fetched_by_addresses_that_the_command_takes() -> None:
    server = of_kind(rendered("fetched"), "Deployment")["torchserve-server"]
    [fetch] = server["spec"]["template"]["spec"]["initContainers"]
    assert fetch["args"][:2] == ["--store", "/models"]
    schemes = [Source.parse(url).scheme for url in fetch["args"][2:]]
    assert schemes == [each["url"].partition(":")[0] for each in MATRIX["fetched"]["models"]["fetch"]["archives"]]
    # Credentials, as variables and as files, for this container alone.
    assert fetch["envFrom"] == [{"secretRef": {"name": "store"}}]
    assert "/run/credentials" in {mount["mountPath"] for mount in fetch["volumeMounts"]}
    [container] = server["spec"]["template"]["spec"]["containers"]
    assert "/run/credentials" not in {mount["mountPath"] for mount in container["volumeMounts"]}
    policy = of_kind(rendered("fetched"), "NetworkPolicy")["torchserve-server"]
    assert [each["port"] for rule in policy["spec"]["egress"] for each in rule["ports"]] == [53, 53, 443, 9000]


def test_volumes_that_are_mounted_are_there() -> None:
    for name in MATRIX:
        for pod in pods(rendered(name)):
            there = {volume["name"] for volume in pod.get("volumes", ())}
            assert {mount["name"] for each in containers(pod) for mount in each["volumeMounts"]} == there


def test_scaling_leaves_the_number_of_servers_alone_and_names_their_deployment() -> None:
    for name in ("cpu-scaling", "queue-scaling"):
        objects = rendered(name)
        assert "replicas" not in of_kind(objects, "Deployment")["torchserve-server"]["spec"]
        kind = {"cpu-scaling": "HorizontalPodAutoscaler", "queue-scaling": "ScaledObject"}[name]
        [scaler] = of_kind(objects, kind).values()
        assert scaler["spec"]["scaleTargetRef"]["name"] in of_kind(objects, "Deployment")


def test_the_scaler_s_query_finds_the_servers_pods_and_no_others() -> None:
    [scaler] = of_kind(rendered("queue-scaling"), "ScaledObject").values()
    query = scaler["spec"]["triggers"][0]["metadata"]["query"]
    [pattern] = re.findall(r'pod=~"(.+)"', query)
    assert re.fullmatch(pattern, "torchserve-server-7c9d8b6f5-x2x9q")
    assert not re.fullmatch(pattern, "torchserve-edge-7c9d8b6f5-x2x9q")
    assert not re.fullmatch(pattern, "other-torchserve-server-7c9d8b6f5-x2x9q")
    [metric] = re.findall(r"sum\((\w+)\{", query)
    assert f'"{metric}"' in inspect.getsource(status)


def test_the_rules_and_the_dashboard_are_those_of_the_containers() -> None:
    objects = by_key(rendered("monitoring"))
    rule = next(item for key, item in objects.items() if key[1] == "PrometheusRule")
    paths = sorted((PROJECT / "docker" / "prometheus" / "rules").glob("*.yml"))
    assert rule["spec"]["groups"] == [group for path in paths for group in yaml.safe_load(path.read_text())["groups"]]
    dashboard = next(item for key, item in objects.items() if key[1] == "ConfigMap")
    text = (PROJECT / "docker" / "grafana" / "dashboards" / "models.json").read_text()
    assert list(dashboard["data"].values()) == [text]


def test_the_jobs_are_called_as_the_rules_call_them() -> None:
    endpoints = [
        endpoint
        for monitor in of_kind(rendered("monitoring"), "PodMonitor").values()
        for endpoint in monitor["spec"]["podMetricsEndpoints"]
    ]
    jobs = {rule["replacement"]: each["path"] for each in endpoints for rule in each["relabelings"]}
    settings = yaml.safe_load((PROJECT / "docker" / "prometheus" / "prometheus.yml").read_text())
    assert jobs == {job["job_name"]: job.get("metrics_path", "/metrics") for job in settings["scrape_configs"]}


def test_the_drain_s_default_is_the_command_s() -> None:
    server = of_kind(rendered("default"), "Deployment")["torchserve-server"]
    [container] = server["spec"]["template"]["spec"]["containers"]
    assert float(container["args"][-1]) == inspect.signature(run_command).parameters["grace"].default
