"""Servers and edge trace as the values say, and reach the collector alone."""

from typing import Any, get_args

import pytest

from deploy.kubernetes.rendering import template
from deploy.kubernetes.sections import Tracing as TracingValues
from deploy.tracing.settings import SAMPLERS, Tracing
from tests.kubernetes.matrix import MATRIX, containers, environment, pods, rendered
from tests.kubernetes.test_objects import of_kind, selected


@pytest.mark.parametrize("name", [name for name, values in MATRIX.items() if "tracing" in values])
def test_servers_and_edge_send_their_spans_where_the_values_say(name: str) -> None:
    values = MATRIX[name]["tracing"]
    found = [environment(each) for pod in pods(rendered(name)) for each in containers(pod)]
    traced = [Tracing.of(each) for each in found if "OTEL_EXPORTER_OTLP_ENDPOINT" in each]
    assert len(traced) == (1 if "kserve" in MATRIX[name] else 2)  # the server, and what configures Envoy
    pod = {} if "knative" in name else {"k8s.pod.name": "metadata.name", "k8s.namespace.name": "metadata.namespace"}
    wanted = Tracing(
        f"{values['endpoint']}/v1/traces",
        {values["headers"]["secret"]: values["headers"].get("key", "key")} if "headers" in values else {},
        values.get("service", "torchserve-bundle"),
        {**pod, **values.get("attributes", {})},
        True,
        values.get("ratio", 1.0),
        f"/run/collector/{values['authority'].get('key', 'ca.crt')}" if "authority" in values else "",
    )
    assert traced == [wanted] * len(traced)
    # Envoy reads the authority, and the server's workers do.
    reading = [each for pod in pods(rendered(name)) for each in pod["containers"]]
    mounted = [{mount["mountPath"] for mount in each["volumeMounts"]} for each in reading]
    assert all(("/run/collector" in paths) == ("authority" in values) for paths in mounted)


@pytest.mark.parametrize(
    ("values", "port"),
    [
        ({"endpoint": "http://collector"}, 80),
        ({"endpoint": "https://collector/otlp"}, 443),
        ({"endpoint": "https://collector.example.org:4318"}, 4318),
        ({"endpoint": "http://[fd00::1]"}, 80),
        ({"endpoint": "http://[fd00::1]:4318"}, 4318),
        ({"endpoint": "http://collector", "port": 4318}, 4318),
    ],
)
def test_spans_reach_the_collector_and_nothing_else_does(values: dict[str, Any], port: int) -> None:
    objects = template({"tracing": {**values, "peers": [{"podSelector": {}}]}})
    policy = of_kind(objects, "NetworkPolicy")["torchserve-traces"]["spec"]
    assert len(selected(objects, policy["podSelector"]["matchLabels"])) == 2
    dns, collector = policy["egress"]
    assert [each["port"] for each in dns["ports"]] == [53, 53]
    assert collector == {"ports": [{"port": port, "protocol": "TCP"}], "to": [{"podSelector": {}}]}


def test_the_samplers_are_those_that_the_server_knows() -> None:
    assert set(get_args(TracingValues.model_fields["sampler"].annotation)) == set(SAMPLERS)
