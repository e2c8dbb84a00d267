"""Keys of a spec that contradict one another."""

from __future__ import annotations

from typing import Any

from archiver.errors import Problem
from archiver.explanations.tasks import Explanation
from archiver.spec import Spec


def problems_of_explain(spec: Spec | None, explanation: Explanation | None) -> list[Problem]:
    if spec is None:
        return []
    problems = []
    if spec.explain.workers and explanation is None:
        what = "none: the task has no explanations, or the spec names a handler of its own"
        problems.append(Problem("explain.workers", f"wanted {what}"))
    if spec.explain.max_seconds is not None and spec.explain.max_seconds >= spec.timeouts.response_s:
        problems.append(
            Problem(
                "explain.max_seconds",
                f"wanted less than timeouts.response_s, {spec.timeouts.response_s}, after which a worker is killed; "
                f"got {spec.explain.max_seconds:g}",
            )
        )
    return problems


def problems_beyond_limits(options: Any, limits: dict[str, Any]) -> list[Problem]:
    """Problems of options that are set higher than requests may ask for, and so would have no effect."""
    given = options if isinstance(options, dict) else {}
    return [
        Problem(f"options.{name}", f"wanted at most limits.{name}, {limits[name]}; got {given[name]}")
        for name in given.keys() & limits.keys()
        if isinstance(given[name], (int, float)) and given[name] > limits[name]
    ]
