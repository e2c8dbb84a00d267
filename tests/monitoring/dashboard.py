"""The committed dashboard and the queries of its panels."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRAFANA = Path(__file__).parents[2] / "docker" / "grafana"
PATH = GRAFANA / "dashboards" / "models.json"
DASHBOARD: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ALL = {"model": ".*", "version": ".*", "__rate_interval": "40s"}


@dataclass(frozen=True)
class Query:
    panel: str
    ref: str
    expression: str

    def __str__(self) -> str:
        return f"{self.panel}, {self.ref}"

    @property
    def of_gpu(self) -> bool:
        return "gpu" in self.expression

    def filled(self, variables: Mapping[str, str]) -> str:
        """With Grafana's variables replaced; KeyError for one that has no value."""
        return re.sub(r"\$(\w+)", lambda found: variables[found[1]], self.expression)


QUERIES = [Query(panel["title"], target["refId"], target["expr"]) for panel in PANELS for target in panel["targets"]]
