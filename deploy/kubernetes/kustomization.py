"""Kustomize files made from Helm's output: a base, and a component for each set of other values.

A component contains the objects that its values add, and a strategic merge patch for each object that they change.
Components can be combined; a test compares combinations with Helm's output for the same values.
"""

from __future__ import annotations

from typing import Any

import yaml

from deploy.errors import DeployError
from deploy.kubernetes.rendering import Object, by_key, template

# The chart's values that each component stands for.
COMPONENTS: dict[str, dict[str, Any]] = {
    "claim": {"models": {"claim": "models"}},
    "signed": {"models": {"requireSigned": {"secret": "signing-keys"}}},
    "gpu": {"gpu": {"count": 1}, "resources": {"requests": {"memory": "48Gi"}, "limits": {"memory": "48Gi"}}},
    "gpu-mig": {"gpu": {"count": 1, "resource": "nvidia.com/mig-1g.10gb"}},
    "cpu-scaling": {"autoscaling": {"by": "cpu"}},
    "queue-scaling": {"autoscaling": {"by": "queue"}},
    "monitoring": {"monitoring": {"enabled": True}},
    "tracing": {"tracing": {"endpoint": "http://collector.monitoring:4318"}},
    "gateway": {"gateway": {"enabled": True}},
    "load-balancer": {"edge": {"service": {"type": "LoadBalancer"}}},
}
# Lists whose items kubectl merges by name; all other lists are replaced as a whole.
MERGED = {"containers", "initContainers", "volumes"}
HEAD = "# Generated from kubernetes/chart by `python -m deploy.kubernetes`.\n"


class Dumper(yaml.SafeDumper):
    """Writes multi-line strings as literal blocks."""


def represented(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Dumper.add_representer(str, represented)


def generated() -> dict[str, str]:
    """Content by path below kubernetes/kustomize."""
    base = by_key(template({}))
    found = {f"base/{name}": text for name, text in folder(list(base.values())).items()}
    for component, values in COMPONENTS.items():
        now = by_key(template(values))
        gone = base.keys() - now.keys()
        if gone:
            raise DeployError(f"the values of {component} remove {sorted(gone)}, which a component cannot do")
        changed = {key: patch(base[key], item) for key, item in now.items() if key in base and base[key] != item}
        patches = [{**identity(now[key]), **difference} for key, difference in changed.items()]
        added = [item for key, item in now.items() if key not in base]
        files = folder(added, patches, "kustomize.config.k8s.io/v1alpha1", "Component")
        found |= {f"components/{component}/{name}": text for name, text in files.items()}
    return found


def folder(
    items: list[Object],
    patches: list[Object] | None = None,
    version: str = "kustomize.config.k8s.io/v1beta1",
    kind: str = "Kustomization",
) -> dict[str, str]:
    """Content by file name of a folder with these objects and patches."""
    resources = {file_name(item): item for item in items}
    patched = {f"patch-{file_name(item)}": item for item in patches or []}
    kustomization: Object = {"apiVersion": version, "kind": kind}
    if resources:
        kustomization["resources"] = sorted(resources)
    if patched:
        kustomization["patches"] = [{"path": name} for name in sorted(patched)]
    return {name: dumped(item) for name, item in {"kustomization.yaml": kustomization, **resources, **patched}.items()}


def file_name(item: Object) -> str:
    return f"{item['metadata']['name']}-{item['kind'].lower()}.yaml"


def identity(item: Object) -> Object:
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": {"name": item["metadata"]["name"]}}


def dumped(item: Object) -> str:
    return HEAD + yaml.dump(item, Dumper=Dumper, sort_keys=False, width=118)


def patch(old: Object, new: Object) -> Object:
    """The strategic merge patch that turns `old` into `new`."""
    found: Object = dict.fromkeys(old.keys() - new.keys())
    for name, value in new.items():
        before = old.get(name)
        if before == value:
            continue
        if isinstance(before, dict) and isinstance(value, dict):
            found[name] = patch(before, value)
        elif name in MERGED and before is not None:
            found[name] = list_patch(before, value)
        else:
            found[name] = value
    return found


def list_patch(old: list[Object], new: list[Object]) -> list[Object]:
    before, now = ({item["name"]: item for item in items} for items in (old, new))
    changed = [
        {"name": name, **patch(before[name], item)} if name in before else item
        for name, item in now.items()
        if before.get(name) != item
    ]
    return changed + [{"$patch": "delete", "name": name} for name in before.keys() - now.keys()]
