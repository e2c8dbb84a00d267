"""Values that the chart is rendered with: each feature alone, what goes with what, and the ends of ranges."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache
from typing import Any

from deploy.kubernetes.kustomization import COMPONENTS
from deploy.kubernetes.rendering import Object, template

Values = dict[str, Any]
WITHOUT_EDGE: Values = {"edge": {"enabled": False}, "gateway": {"enabled": True, "hostnames": ["models.example.org"]}}
OTHERS: dict[str, Values] = {
    "default": {},
    "gateway alone": WITHOUT_EDGE,
    "bare": {
        "budget": {"enabled": False},
        "spread": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "serviceAccount": {"create": False},
        "preStopSeconds": 0,
    },
    "named": {"nameOverride": "m" * 40, "serviceAccount": {"name": "models"}, "replicas": 0},
    "digest": {"image": {"repository": "registry.example.org/server", "tag": "@sha256:" + "0" * 64}},
    "callers": {"networkPolicy": {"callers": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}},
    "placed": {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "models", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "serving",
        "podAnnotations": {"a": "b"},
        "imagePullSecrets": [{"name": "registry"}],
        "models": {"explain": ["imagenet", "language-id"]},
        "gpu": {"count": 2, "runtimeClassName": "nvidia"},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/models"}},
    },
    # Names that YAML reads as something else than text, or that end a mapping on one line.
    "odd": {
        "models": {"claim": "true", "image": "", "requireSigned": {"secret": "1e3", "key": "1.0"}, "size": "10"},
        "gpu": {"count": 1, "runtimeClassName": "null", "nodeSelector": {}, "tolerations": []},
        "edge": {"secret": "007", "service": {"annotations": {"a.b/c": "x: {y} 'z'\n\"q\""}}},
        "priorityClassName": "0x1f",
        "serviceAccount": {"create": False, "name": "off"},
        "nodeSelector": {"a.b/c": "true"},
        "tolerations": [{"operator": "Exists"}, {"key": "a", "operator": "Equal", "value": "1", "effect": "NoExecute"}],
        "podAnnotations": {"a": "{{ .Values }} # no"},
        "imagePullSecrets": [{"name": "123"}],
        "spread": {"topologyKeys": ["true"]},
        "budget": {"maxUnavailable": "50%"},
        "gateway": {"enabled": True, "namespace": "1", "hostnames": ["*.example.org"]},
        "monitoring": {"enabled": True, "labels": {}, "dashboardLabels": {}, "interval": "1m30s"},
        "tracing": {
            "endpoint": "http://collector",
            "headers": {"secret": "123", "key": "1"},
            "authority": {"configMap": "yes", "key": "2"},
        },
    },
    "fetched": {
        "models": {
            "fetch": {
                "archives": [
                    {"url": "s3://models/imagenet.mar", "sha256": "0" * 64},
                    {"url": "oci://registry.example.org/team/digits:1.0", "sha256": "1" * 64},
                    {"url": f"oci://localhost:5000/digits@sha256:{'0' * 64}", "sha256": "2" * 64},
                    {"url": "https://host:8443/a/b.mar?X-Signature=a%2F'b\"c@d", "sha256": "3" * 64},
                    {"url": "hf://owner/name@main/b.mar", "sha256": "4" * 64},
                ],
                "credentialsSecret": "store",
                "ports": [443, 9000],
            },
            "requireSigned": {"secret": "keys"},
        }
    },
    "traced": {
        "tracing": {
            "endpoint": "https://collector.example.org/otlp",
            "sampler": "parentbased_traceidratio",
            "ratio": 0.25,
            "service": "models",
            "attributes": {"team": "search, and more"},
            "headers": {"secret": "collector", "key": "key"},
            "authority": {"configMap": "authority", "key": "own.crt"},
            "peers": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        }
    },
    "kserve": {"kserve": {"enabled": True}},
    "kserve knative": {
        "kserve": {"enabled": True, "mode": "knative"},
        "tracing": {"endpoint": "http://collector:4318"},
    },
    "kserve gpu": {
        "kserve": {"enabled": True},
        "gpu": {"count": 1},
        "models": {"requireSigned": {"secret": "keys"}, "explain": ["all"]},
        "imagePullSecrets": [{"name": "registry"}],
        "tracing": {"endpoint": "https://collector:4318", "authority": {"configMap": "authority"}},
    },
}
# Components that exclude one another: of the same resource, or of the same Deployment's number.
EITHER = ({"gpu", "gpu-mig"}, {"cpu-scaling", "queue-scaling"})
COMBINED = (
    ("claim", "signed", "gpu", "queue-scaling", "monitoring", "gateway", "load-balancer", "tracing"),
    ("claim", "signed", "gpu-mig", "cpu-scaling", "monitoring", "tracing"),
    ("gateway", "cpu-scaling", "gpu"),
    ("gpu-mig", "queue-scaling"),
)
MATRIX: dict[str, Values] = {**OTHERS, **COMPONENTS}


def merged(*parts: Values) -> Values:
    """As Helm merges values files: mappings by key, anything else as a whole."""
    found: Values = {}
    for part in parts:
        for key, value in part.items():
            before = found.get(key)
            both = isinstance(before, dict) and isinstance(value, dict)
            found[key] = merged(before, value) if both and before else deepcopy(value)
    return found


def rendered(name: str) -> list[Object]:
    """The objects of one row of the matrix."""
    return deepcopy(cached(name))


@cache
def cached(name: str) -> list[Object]:
    return template(MATRIX[name])


def pods(objects: list[Object]) -> list[Object]:
    """The pods' specs of Deployments and runtimes."""
    deployments = [item["spec"]["template"]["spec"] for item in objects if item["kind"] == "Deployment"]
    return deployments + [item["spec"] for item in objects if item["kind"] == "ServingRuntime"]


def environment(container: Object) -> dict[str, str]:
    """A container's variables as the kubelet sets them, in order; a field and a Secret's key stand for their values."""
    found: dict[str, str] = {}
    for each in container.get("env", ()):
        source = each.get("valueFrom", {})
        text = each.get("value") or "".join(kind["fieldPath"] for kind in source.values() if "fieldPath" in kind)
        text = text or "".join(f"{kind['name']}={kind['key']}" for kind in source.values())
        found[each["name"]] = re.sub(r"\$\((\w+)\)", lambda match: found.get(match[1], match[0]), text)
    return found


def containers(pod: Object) -> list[Object]:
    return [*pod.get("initContainers", ()), *pod["containers"]]
