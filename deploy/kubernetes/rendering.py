"""Kubernetes objects as rendered by Helm from the chart, or by kubectl from a Kustomize folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy.errors import DeployError
from deploy.kubernetes.chart import CHART
from deploy.kubernetes.programs import program

RELEASE = "torchserve"
Object = dict[str, Any]
Key = tuple[str, str, str]


def template(values: Mapping[str, Any], version: str = "1.35.0", chart: Path = CHART) -> list[Object]:
    """The objects of `helm template`. values: overrides for values.yaml. Raises DeployError."""
    command = [program("helm"), "template", RELEASE, chart, "--values", "-", "--kube-version", version]
    return objects(output(command, json.dumps(values)))


def kustomize(folder: Path) -> list[Object]:
    """The objects of `kubectl kustomize`. Raises DeployError."""
    return objects(output([program("kubectl"), "kustomize", folder]))


def output(command: list[Any], given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeployError(f"{Path(command[0]).name} {command[1]}: {done.stderr.strip()}")
    return done.stdout


def objects(text: str) -> list[Object]:
    return [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]


def key(item: Object) -> Key:
    return (item["apiVersion"], item["kind"], item["metadata"]["name"])


def by_key(items: Iterable[Object]) -> dict[Key, Object]:
    return {key(item): item for item in items}
