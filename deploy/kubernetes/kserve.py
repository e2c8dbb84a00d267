"""KServe runtimes as rendered by Helm, one per mode. The examples next to them are written by hand."""

from __future__ import annotations

from typing import Any

from deploy.kubernetes.kustomization import dumped
from deploy.kubernetes.rendering import template

RUNTIMES: dict[str, dict[str, Any]] = {
    "runtime.yaml": {"nameOverride": "torchserve-bundle"},
    "runtime-knative.yaml": {"nameOverride": "torchserve-bundle-knative", "kserve": {"mode": "knative"}},
}


def generated() -> dict[str, str]:
    """Content by file name."""
    found = {}
    for name, values in RUNTIMES.items():
        [runtime] = template({**values, "kserve": {"enabled": True, **values.get("kserve", {})}})
        found[name] = dumped(runtime)
    return found
