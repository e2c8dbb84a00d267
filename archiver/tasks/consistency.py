"""Checks for keys of a spec that contradict each other."""

from __future__ import annotations

from typing import Any

from archiver.errors import Problem
from archiver.explanations.tasks import Explanation
from archiver.spec import Spec


def problems_of_explain(spec: Spec | None, explanation: Explanation | None) -> list[Problem]:
    """Problems of the section `explain`. spec: None if it is invalid. explanation: from `explanation_of`."""
    if spec is None:
        return []
    explain = spec.explain
    problems: list[Problem] = []
    if explain.workers and explanation is None:
        reason = "the task has no explanations, or the spec has its own handler"
        problems.append(Problem("explain.workers", f"wanted 0, because {reason}; got {explain.workers}"))
    if explain.max_seconds is not None and explain.max_seconds >= spec.timeouts.response_s:
        limit = f"timeouts.response_s, {spec.timeouts.response_s}, after which TorchServe kills the worker"
        problems.append(Problem("explain.max_seconds", f"wanted less than {limit}; got {explain.max_seconds:g}"))
    return problems


def problems_beyond_limits(options: Any, limits: dict[str, Any]) -> list[Problem]:
    """Problems of options that exceed the limit for requests with the same name. options: unchecked, from the spec."""
    given = options if isinstance(options, dict) else {}
    return [
        Problem(f"options.{name}", f"wanted at most limits.{name}, {limits[name]}; got {value}")
        for name, value in given.items()
        if name in limits and isinstance(value, (int, float)) and value > limits[name]
    ]
