"""The generated files of the Helm chart: values, schema, README, and files copied from docker/."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from deploy.configuration import PROJECT
from deploy.kubernetes.values import Values

CHART = PROJECT / "kubernetes" / "chart"
WIDTH = 118
HEAD = "# Generated from deploy/kubernetes/values.py, and so are values.schema.json and README.md.\n"


@dataclass(frozen=True)
class Entry:
    """One value. section: whether it contains other values. default: as YAML on one line."""

    path: tuple[str, ...]
    section: bool
    default: str
    description: str


def entries(section: BaseModel, path: tuple[str, ...] = ()) -> Iterator[Entry]:
    """All values below a section, in order."""
    for name, field in type(section).model_fields.items():
        value, here = getattr(section, name), (*path, field.alias or name)
        below = isinstance(value, BaseModel)
        yield Entry(here, below, "" if below else flow(value), field.description or "")
        if below:
            yield from entries(value, here)


def flow(value: Any) -> str:
    text = yaml.safe_dump(
        to_jsonable_python(value, by_alias=True, exclude_none=True),
        default_flow_style=True,
        sort_keys=False,
        width=9999,
    )
    return text.removesuffix("\n").removesuffix("\n...")


def values_file() -> str:
    """values.yaml: every key with its default, after a comment that describes it."""
    lines = [HEAD]
    for entry in entries(Values()):
        indent = "  " * (len(entry.path) - 1)
        if len(entry.path) == 1 and (entry.section or entry.description):
            lines.append("")
        lines += textwrap.wrap(entry.description, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        lines.append(f"{indent}{entry.path[-1]}:{' ' * (not entry.section)}{entry.default}")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def schema() -> str:
    """values.schema.json, with which Helm rejects unknown keys and invalid values."""
    found = without(Values.model_json_schema(by_alias=True), {"title", "default"})
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    # Helm adds this key if the chart is a dependency of another one.
    found["properties"]["global"] = {"type": "object"}
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def without(node: Any, annotations: set[str]) -> Any:
    """A schema without these annotations; properties of the same name are kept."""
    if isinstance(node, list):
        return [without(each, annotations) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: without(each, annotations) for name, each in value.items()}
        if key in ("properties", "$defs")
        else without(value, annotations)
        for key, value in node.items()
        if key not in annotations
    }


def readme() -> str:
    rows = [
        " | ".join((f"| `{'.'.join(entry.path)}`", f"`{cell(entry.default)}`" * bool(entry.default), text)) + " |"
        for entry in entries(Values())
        if (text := cell(entry.description)) or not entry.section
    ]
    return "\n".join(
        [
            "# The chart",
            "",
            "    kubectl create secret generic torchserve-edge --from-file=secrets/clients.yaml \\",
            "        --from-file=secrets/tls.crt --from-file=secrets/tls.key",
            "    helm install torchserve kubernetes/chart",
            "",
            "`docs/kubernetes.md` explains it. Generated from `deploy/kubernetes/values.py`.",
            "",
            "| value | default | |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def files() -> dict[str, str]:
    """Files that templates read: Prometheus's rules and relabelling, and Grafana's dashboard."""
    prometheus = PROJECT / "docker" / "prometheus"
    jobs = yaml.safe_load((prometheus / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    relabelings = {
        job["job_name"]: [operator_form(rule) for rule in job["metric_relabel_configs"]]
        for job in jobs
        if "metric_relabel_configs" in job
    }
    dashboard = PROJECT / "docker" / "grafana" / "dashboards" / "models.json"
    rules = sorted((prometheus / "rules").glob("*.yml"))
    return {
        **{f"files/rules/{path.name}": path.read_text(encoding="utf-8") for path in rules},
        "files/relabelings.yaml": yaml.safe_dump(relabelings, sort_keys=False),
        "files/dashboard.json": dashboard.read_text(encoding="utf-8"),
    }


def operator_form(rule: dict[str, Any]) -> dict[str, Any]:
    """A Prometheus relabelling rule in the operator's spelling, such as targetLabel for target_label."""
    head_and_rest = ((name.partition("_")[0], name.split("_")[1:], value) for name, value in rule.items())
    return {head + "".join(part.title() for part in rest): value for head, rest, value in head_and_rest}


def generated() -> dict[str, str]:
    """Path in the chart → content."""
    return {"values.yaml": values_file(), "values.schema.json": schema(), "README.md": readme(), **files()}
