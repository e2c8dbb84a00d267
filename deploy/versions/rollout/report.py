"""The report of a rollout as a self-contained HTML page and as JSON."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from deploy.edge.private_file import write_private
from deploy.versions.rollout.judge import ENOUGH
from deploy.versions.rollout.plot import plot
from deploy.versions.rollout.state import State
from deploy.versions.rollout.tally import Tally

STYLE = """body{font:15px system-ui,sans-serif;max-width:760px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse}td,th{padding:.2em 1em .2em 0;text-align:right}
td:first-child,th:first-child{text-align:left}
svg{width:100%;margin-top:1em}svg text{font:11px system-ui,sans-serif;fill:currentColor}.title{font-weight:600}
.grid{stroke:#ddd}.bound{stroke:#888;stroke-dasharray:5 4;fill:none}"""


def write(state: State, folder: Path) -> Path:
    """Write MODEL-VERSION.html and .json, readable only by their owner, and return the path of the page."""
    path = folder / f"{state.model}-{state.new}.html"
    write_private(path, page(state))
    write_private(path.with_suffix(".json"), json.dumps(summary(state) | {"timeline": state.timeline}, indent=2))
    return path


def summary(state: State) -> dict[str, Any]:
    versions = {}
    for name, version in (("new", state.new), ("old", state.old)):
        tally = Tally.from_json(state.judge[name]) if state.judge else Tally()
        versions[name] = {
            "version": version,
            "calls": tally.calls,
            "failed": tally.failed,
            "refused": tally.refused,
            "p50_ms": round(tally.quantile(0.5), 1),
            "p99_ms": round(tally.quantile(0.99), 1),
        }
    return {
        "model": state.model,
        "outcome": str(state.phase),
        "reason": state.reason,
        "started": state.started,
        "ended": state.ended,
        **versions,
        "agreement": state.agreement,
        "steps": list(state.plan.steps),
    }


def page(state: State) -> str:
    found = summary(state)
    rows = "".join(
        f"<tr><td>{escape(each['version'])} ({name})</td><td>{each['calls']}</td><td>{each['failed']}</td>"
        f"<td>{each['refused']}</td><td>{each['p50_ms']:g}</td><td>{each['p99_ms']:g}</td></tr>"
        for name, each in (("new", found["new"]), ("old", found["old"]))
    )
    title = f"{state.model}: {state.old} to {state.new}"
    agreed = state.agreement
    shadow = f"<p>Shadow: {agreed['mean']:.1%} agreement of {agreed['compared']} answers.</p>" if agreed else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
        f"<h1>{escape(title)}</h1><p><b>{escape(str(state.phase))}</b> {escape(state.reason)}</p>{shadow}"
        "<table><tr><th>version</th><th>calls</th><th>failed</th><th>refused</th><th>p50 ms</th><th>p99 ms</th></tr>"
        f"{rows}</table>{plots(state)}"
        "<p>Evidence is a natural logarithm; above the dashed line the new version is rolled back. It is valid "
        "at any time.</p></html>"
    )


def plots(state: State) -> str:
    if not state.timeline:
        return ""
    first = state.timeline[0]["at"]

    def line(*keys: str, per: str | None = None) -> list[tuple[float, float]]:
        points = []
        for each in state.timeline:
            value: Any = each
            for key in keys:
                value = value[key]
            points.append((each["at"] - first, value / max(1, each[keys[0]][per]) if per else value))
        return points

    both = ("new", "old")
    return "".join(
        (
            plot("share of the new version, percent", {"new": line("share")}),
            plot("failed or refused, of all calls so far", {name: line(name, "bad", per="calls") for name in both}),
            plot("p99 of all calls so far, ms", {name: line(name, "p99") for name in both}),
            plot("evidence", {name: line("evidence", name) for name in state.timeline[0]["evidence"]}, ENOUGH),
        )
    )
