"""The chart over a matrix of values, against the schemas of Kubernetes and the usual policies of clusters."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.configuration import PROJECT
from deploy.errors import DeployError
from deploy.kubernetes import __main__ as generator
from deploy.kubernetes.chart import CHART
from deploy.kubernetes.programs import program
from deploy.kubernetes.rendering import Object, output, template
from tests.kubernetes.custom_resources import validator
from tests.kubernetes.matrix import MATRIX, containers, pods, rendered

VERSIONS = [f"1.{minor}.0" for minor in range(30, 38)]
CUSTOM = {"monitoring.coreos.com", "keda.sh", "gateway.networking.k8s.io", "serving.kserve.io"}
EXAMPLES = sorted((PROJECT / "kubernetes" / "kserve").glob("*.yaml"))


WRONG_URLS = (
    "https://user:password@host/a.mar",
    "s3://key@bucket/a.mar",
    "https://host/a.zip",
    "https://host/a b.mar",
    "https:///a.mar",
)
WRONG_HOSTS = ("https://a.b", "A.b", "a.b:443", "a_b", "a.*.b", "", "a" * 254)


def is_custom(item: Object) -> bool:
    return item["apiVersion"].partition("/")[0] in CUSTOM


def test_what_is_generated_is_as_the_chart_makes_it() -> None:
    assert generator.stale() == []


@pytest.mark.parametrize("name", MATRIX)
def test_helm_has_nothing_to_say(name: str, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps(MATRIX[name]))
    said = output([program("helm"), "lint", CHART, "--strict", "--values", values])
    assert "[WARNING]" not in said
    assert "[ERROR]" not in said


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_one_that_this_version_of_kubernetes_takes(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It reads 2 MB of definitions for each object.
    monkeypatch.setattr(kubernetes_validate.utils, "schema_contents", cache(kubernetes_validate.utils.schema_contents))
    different = {json.dumps(item) for name in MATRIX for item in rendered(name) if not is_custom(item)}
    items = [json.loads(text) for text in different]
    for item in items:
        kubernetes_validate.validate(item, version, strict=True)
    assert {item["kind"] for item in items} == {
        *("Deployment", "Service", "ServiceAccount", "ConfigMap"),
        *("NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler"),
    }


def test_the_chart_renders_for_every_version_and_refuses_older_ones() -> None:
    for version in VERSIONS:
        assert template({}, version)
    with pytest.raises(DeployError, match=r"1\.29"):
        template({}, "1.29.0")


def test_custom_resources_are_as_their_definitions_want_them() -> None:
    found = [item for name in MATRIX for item in rendered(name) if is_custom(item)]
    found += [yaml.safe_load(path.read_text()) for path in EXAMPLES]
    assert {item["kind"] for item in found} == {
        *("PodMonitor", "PrometheusRule", "ScaledObject", "HTTPRoute", "GRPCRoute"),
        *("ServingRuntime", "InferenceService"),
    }
    for item in found:
        validator(item["apiVersion"], item["kind"]).validate(item)


def test_the_schemas_find_mistakes() -> None:
    """Otherwise the tests above would show nothing."""
    [deployment] = [
        item
        for item in rendered("default")
        if item["metadata"]["name"] == "torchserve-server" and item["kind"] == "Deployment"
    ]
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)
    for name, kind in (("monitoring", "PodMonitor"), ("queue-scaling", "ScaledObject"), ("kserve", "ServingRuntime")):
        item = next(item for item in rendered(name) if item["kind"] == kind)
        item["spec"]["unknown"] = 1
        assert not validator(item["apiVersion"], kind).is_valid(item)


@pytest.mark.parametrize("name", MATRIX)
def test_no_container_is_root_or_may_write_or_has_no_limits(name: str) -> None:
    found = pods(rendered(name))
    assert found
    for pod in found:
        whole = pod.get("securityContext", {})
        for container in containers(pod):
            security = {**whole, **container["securityContext"]}
            assert security["runAsNonRoot"] is True
            assert security["runAsUser"] == 10001
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
            assert "/tmp" in writable  # noqa: S108
        assert not any("hostPath" in volume for volume in pod.get("volumes", ()))
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


@pytest.mark.parametrize("name", MATRIX)
def test_every_container_that_stays_has_probes(name: str) -> None:
    for pod in pods(rendered(name)):
        for container in pod["containers"]:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


@pytest.mark.parametrize("name", MATRIX)
def test_no_secret_is_part_of_it_and_no_token_is_mounted(name: str) -> None:
    objects = rendered(name)
    assert "Secret" not in {item["kind"] for item in objects}
    for item in objects:
        if item["kind"] == "Deployment":
            assert item["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replica": 3}, "replica"),
        ({"replicas": -1}, "replicas"),
        ({"models": {"clam": "a"}}, "clam"),
        ({"autoscaling": {"by": "memory"}}, "by"),
        ({"autoscaling": {"by": "cpu", "minReplicas": 5, "maxReplicas": 4}}, "minReplicas is 5"),
        ({"gpu": {"count": "one"}}, "count"),
        ({"models": {"fetch": {"archives": [{"url": "s3://a/b.mar"}]}}}, "sha256"),
        ({"models": {"fetch": {"archives": [{"url": "ftp://a/b.mar", "sha256": "0" * 64}]}}}, "url"),
        ({"edge": {"secret": ""}}, "edge.secret"),
        ({"tracing": {"endpoint": "grpc://collector:4317"}}, "endpoint"),
        ({"tracing": {"endpoint": "http://user:password@collector"}}, "endpoint"),
        ({"tracing": {"sampler": "jaeger_remote"}}, "sampler"),
        ({"tracing": {"ratio": 1.5}}, "ratio"),
        ({"spread": {"whenUnsatisfiable": "Never"}}, "whenUnsatisfiable"),
        ({"replicas": 1_000_000}, "replicas"),
        ({"replicas": "2"}, "replicas"),
        ({"replicas": 1.5}, "replicas"),
        *(({"nameOverride": name}, "nameOverride") for name in ("Models", "1models", "a.b", "-a", "m" * 41)),
        *(({"models": {"claim": name}}, "claim") for name in ("a b", "a}, x: {y", "A", "a_b", "a" * 254)),
        ({"models": {"image": ""}}, "an image, a claim or fetch.archives is wanted"),
        ({"models": {"size": "10GB"}}, "size"),
        ({"models": {"requireSigned": {"secret": "a", "key": "a/b"}}}, "key"),
        ({"models": {"explain": ["a b"]}}, "explain"),
        *(({"models": {"fetch": {"archives": [{"url": url, "sha256": "0" * 64}]}}}, "url") for url in WRONG_URLS),
        *(({"resources": {"limits": {"cpu": cpu}}}, "cpu") for cpu in ("two", "-1", 1.5, 0)),
        *(({"resources": {"limits": {"memory": memory}}}, "memory") for memory in ("8GB", 8, "")),
        *(({"gpu": {"count": 1, "resource": name}}, "resource") for name in ("mig-1g.10gb", "a b/c", "true")),
        *(({"gateway": {"enabled": True, "hostnames": [host]}}, "hostnames") for host in WRONG_HOSTS),
        ({"gateway": {"enabled": True, "parentRefs": []}}, "parentRefs"),
        ({"gateway": {"enabled": True, "parentRefs": [{"namespace": "a"}]}}, "name"),
        ({"edge": {"secret": "x}\nfoo: {"}}, "secret"),
        ({"edge": {"image": "a b"}}, "image"),
        ({"edge": {"service": {"annotations": {"a": True}}}}, "annotations"),
        ({"image": {"repository": "a/b:1"}}, "repository"),
        *(({"image": {"tag": tag}}, "tag") for tag in ("", "a b", "@sha256:123")),
        ({"imagePullSecrets": ["registry"]}, "imagePullSecrets"),
        ({"imagePullSecrets": [{}]}, "imagePullSecrets"),
        ({"extraEnv": [{"name": "A", "value": "b"}]}, "extraEnv"),
        ({"tolerations": [{"key": "a", "value": True}]}, "value"),
        ({"tolerations": [{"keys": "a"}]}, "keys"),
        ({"tolerations": [{"key": "a", "effect": "Never"}]}, "effect"),
        ({"nodeSelector": {"a": True}}, "nodeSelector"),
        ({"nodeSelector": {"a": "x y"}}, "nodeSelector"),
        ({"nodeSelector": {"a b": "x"}}, "a b"),
        ({"affinity": {"podantiAffinity": {}}}, "podantiAffinity"),
        *(({"budget": {"maxUnavailable": most}}, "maxUnavailable") for most in ("half", -1, "200%", "1")),
        ({"spread": {"topologyKeys": ["a", "a"]}}, "topologyKeys"),
        ({"autoscaling": {"by": "cpu", "scaleDownSeconds": 4000}}, "scaleDownSeconds"),
        ({"autoscaling": {"by": "queue", "prometheus": "prometheus:9090"}}, "prometheus"),
        ({"monitoring": {"enabled": True, "interval": "10"}}, "interval"),
        ({"networkPolicy": {"callers": [{"podselector": {}}]}}, "podselector"),
        ({"networkPolicy": {"callers": [{}]}}, "callers"),
    ],
)
def test_wrong_values_are_refused_by_name(values: dict[str, Any], said: str) -> None:
    with pytest.raises(DeployError, match=said):
        template(values)


@pytest.mark.parametrize("release", ["1models", "a.b"])
def test_a_release_whose_name_no_service_can_have(release: str) -> None:
    command = [program("helm"), "template", release, CHART]
    with pytest.raises(DeployError, match="nameOverride gives one"):
        output(command)
    assert output([*command, "--set", "nameOverride=models"])


def test_the_chart_is_ready_to_be_another_s_dependency() -> None:
    assert template({"global": {"anything": 1}}) == rendered("default")
