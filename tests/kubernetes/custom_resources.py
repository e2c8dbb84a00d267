"""Schemas of custom resources, of the definitions that their projects publish.

`python -m tests.kubernetes.custom_resources FILE…` converts definitions (YAML) into tests/kubernetes/schemas/; its
README.md lists where they come from.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parent / "schemas"
# Of an InferenceService's 2 MB, most of it pods: the fields that a model of a runtime has.
PREDICTOR = {"model", "minReplicas", "maxReplicas", "canaryTrafficPercent", "scaleMetric", "scaleTarget", "timeout"}
MODEL = {"modelFormat", "protocolVersion", "runtime", "storageUri", "storage", "resources", "env", "args"}


def validator(api_version: str, kind: str) -> Draft202012Validator:
    """KeyError where there is no schema."""
    return cached(api_version, kind)


@cache
def cached(api_version: str, kind: str) -> Draft202012Validator:
    path = FOLDER / file_name(api_version, kind)
    if not path.is_file():
        raise KeyError(f"{kind} of {api_version}")
    return Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def file_name(api_version: str, kind: str) -> str:
    return f"{kind.lower()}-{api_version.replace('/', '-')}.json"


def strict(node: Any) -> Any:
    """A structural schema as JSON Schema that allows no unknown field, as `kubectl apply --validate=strict`.

    Rules in CEL and merge keys are left out: they need a cluster.
    """
    if isinstance(node, list):
        return [strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: {name: strict(each) for name, each in value.items()} if key == "properties" else strict(value)
        for key, value in node.items()
        if not key.startswith("x-kubernetes-") and key not in ("description", "default", "format", "nullable", "title")
    }
    if node.get("x-kubernetes-int-or-string"):
        kept["type"] = ["integer", "string"]
    if node.get("nullable") and "type" in kept:
        kept["type"] = [kept["type"], "null"]
    free = node.get("x-kubernetes-preserve-unknown-fields") or node.get("x-kubernetes-embedded-resource")
    if "properties" in kept and not free and "additionalProperties" not in kept:
        kept["additionalProperties"] = False
    return kept


def keep(schema: dict[str, Any], names: set[str]) -> None:
    schema["properties"] = {name: each for name, each in schema["properties"].items() if name in names}


def convert(definition: dict[str, Any]) -> None:
    group, kind = definition["spec"]["group"], definition["spec"]["names"]["kind"]
    for version in definition["spec"]["versions"]:
        if not version["served"]:
            continue
        schema = strict(version["schema"]["openAPIV3Schema"])
        schema["properties"].pop("status", None)
        schema["properties"] |= {"metadata": {"type": "object"}}
        schema["required"] = sorted({*schema.get("required", ()), "apiVersion", "kind", "metadata"})
        if kind == "InferenceService":
            keep(schema["properties"]["spec"], {"predictor"})
            keep(schema["properties"]["spec"]["properties"]["predictor"], PREDICTOR)
            keep(schema["properties"]["spec"]["properties"]["predictor"]["properties"]["model"], MODEL)
        text = json.dumps(schema, separators=(",", ":"), sort_keys=True)
        (FOLDER / file_name(f"{group}/{version['name']}", kind)).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        convert(yaml.load(Path(argument).read_text(encoding="utf-8"), yaml.CSafeLoader))
