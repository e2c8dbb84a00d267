"""Waits until the last call of a version or a model has been answered."""

from __future__ import annotations

import time
from collections.abc import Callable

from client import NotFound
from client.management import Management
from deploy.errors import DeployError
from deploy.versions.edge import gauges
from deploy.versions.target import Target

POLL = 0.1  # seconds
BETWEEN_TRIES = 0.6  # seconds at most, see deploy/edge/routes.py
RESPONSE_TIMEOUT = 120  # seconds, TorchServe's own
PREDICTIONS = ("rest_", "grpc_")  # prefixes of the clusters that take them, see deploy/edge/clusters.py
MANAGEMENT = "grpc_management"


def wait_quiet(
    target: Target,
    management: Management,
    model: str,
    version: str | None,
    tell: Callable[[str], None] = lambda line: None,
    seconds: float | None = None,
) -> None:
    """Return once a version that gets no new calls has none waiting and none in a worker.

    version: None for all. TorchServe does not report whether a worker is busy. A worker is idle once the queue was
    empty and each of the edge's clusters has since been seen without a call, twice, because a call may be between two
    tries; or once TorchServe's response timeout has passed, after which it kills the worker.

    Raises DeployError after `seconds`; by default after the longest time that the response timeout allows the queue.
    """
    began = emptied = time.monotonic()
    busy: set[str] | None = None
    seen: float | None = None  # when no call was in progress
    while True:
        waiting, timeout = queue(management, model, version)
        now = time.monotonic()
        if waiting:
            emptied, busy, seen = now, None, None
        else:
            under_way = clusters_with_calls(target)
            if under_way is not None:
                busy = under_way if busy is None else busy & under_way
            if busy is not None and not busy:
                if seen is not None:
                    return
                busy, seen = None, now
                time.sleep(BETWEEN_TRIES)
        if now - emptied > timeout:
            return
        limit = seconds if seconds is not None else 3 * timeout
        if now - began > limit:
            raise DeployError(f"{target.name}: {model} still has calls after {limit:g} s, {waiting} in its queue")
        tell(f"{waiting} calls are waiting" if waiting else f"waiting for the last answers, at most {timeout} s")
        time.sleep(POLL)


def clusters_with_calls(target: Target) -> set[str] | None:
    """Names of the edge's clusters with a prediction in progress; None if unknown."""
    found = gauges(target)
    if not found:
        return None
    return {name for name, value in found.items() if name.startswith(PREDICTIONS) and name != MANAGEMENT and value}


def queue(management: Management, model: str, version: str | None) -> tuple[int, int]:
    """(waiting calls, response timeout in seconds) of one version or all; 0 for a version that is not registered."""
    try:
        found = management.versions(model) if version is None else [management.describe(model, version)]
    except NotFound:
        return 0, 0
    return (
        sum(each.pending for each in found),
        max(each.response_timeout or RESPONSE_TIMEOUT for each in found),
    )
