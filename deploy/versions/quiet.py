"""When the last call of a version, or of a model, has been answered."""

from __future__ import annotations

import time
from collections.abc import Callable

from client import NotFound
from client.management import Management
from deploy.errors import DeployError
from deploy.versions.edge import gauges
from deploy.versions.target import Target

POLL = 0.1  # seconds
BETWEEN_TRIES = 0.6  # seconds at most; deploy/edge/routes.py
RESPONSE_TIMEOUT = 120  # seconds, TorchServe's own
PREDICTIONS = ("rest_", "grpc_")  # the clusters that take them; deploy/edge/clusters.py
MANAGEMENT = "grpc_management"


def wait_quiet(
    target: Target,
    management: Management,
    model: str,
    version: str | None,
    tell: Callable[[str], None] = lambda line: None,
    seconds: float | None = None,
) -> None:
    """Return once no call waits for a version and no worker of it has one. None takes new calls any more.

    version: None for all of them. TorchServe does not tell whether a worker is busy. It is not once its queue was empty
    and, after that, each of the edge's clusters has been seen without a call, twice, because a call may be between two
    tries; or once TorchServe's response timeout has passed, after which it ends a worker.

    Raises DeployError after `seconds`, or after as long as the queue may need by the response timeout.
    """
    began = emptied = time.monotonic()
    busy: set[str] | None = None
    seen: float | None = None  # when nothing was under way
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
        tell(f"{waiting} calls wait" if waiting else f"waiting for the last answers, at most {timeout} s")
        time.sleep(POLL)


def clusters_with_calls(target: Target) -> set[str] | None:
    """The edge's clusters that take predictions and have one now; None where that is not known."""
    found = gauges(target)
    if not found:
        return None
    return {name for name, value in found.items() if name.startswith(PREDICTIONS) and name != MANAGEMENT and value}


def queue(management: Management, model: str, version: str | None) -> tuple[int, int]:
    """(calls that wait, seconds of the response timeout) of one version or all; 0 of one that is not there."""
    try:
        found = management.versions(model) if version is None else [management.describe(model, version)]
    except NotFound:
        return 0, 0
    return (
        sum(each.pending for each in found),
        max(each.response_timeout or RESPONSE_TIMEOUT for each in found),
    )
