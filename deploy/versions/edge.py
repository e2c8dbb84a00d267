"""The edge of a target: applies changes to its traffic and waits for calls in progress."""

from __future__ import annotations

import time
from collections.abc import Callable

import requests
from prometheus_client.parser import text_string_to_metric_families

from client import ClientError
from client.exchange import session
from client.rest import RestConnection
from deploy.edge import traffic
from deploy.edge.limits import UPLOAD
from deploy.edge.traffic import Traffic
from deploy.errors import DeployError
from deploy.versions.target import Target

READ = 20.0  # seconds to wait for an edge to read its settings
THREADS = 0.3  # seconds from Envoy's first thread with new settings to the last
SKEW = 1.0
POLL = 0.1
STATS = "rq(_pending)?_active$"  # the gauges to fetch, out of thousands


class EdgeState(RestConnection):
    """Asks the edge which traffic settings it uses."""

    def now(self) -> tuple[str, float]:
        """Return (digest of the traffic settings, the edge's clock in seconds since 1970)."""
        digest, _, milliseconds = self._send("GET", "/traffic", "management", timeout=5).body.decode().partition(" ")
        return digest, int(milliseconds) / 1000


def change(target: Target, how: Callable[[Traffic], Traffic]) -> None:
    """Change the traffic settings of a target's edge, and return once they apply.

    Raises DeployError if the edge does not read them; the change stays in the file even then.
    """
    wanted = traffic.change(target.traffic, how).digest()
    end, reason = time.monotonic() + READ, ""
    while time.monotonic() < end:
        try:
            with EdgeState(target.server) as edge:
                digest, clock = edge.now()
                if digest == wanted:
                    check_clock(target, clock)
                    time.sleep(THREADS)
                    return
                reason = "it still uses old ones"
        except ClientError as error:
            reason = str(error)
        time.sleep(POLL)
    raise DeployError(
        f"{target.name}: the edge has not read {target.traffic} within {READ:g} s ({reason}); is it running, "
        "and are these its settings?"
    )


def check_clock(target: Target, clock: float) -> None:
    """Raise DeployError if the edge's clock differs: a delay ends at a time by that clock."""
    ahead = clock - time.time()
    if abs(ahead) > SKEW:
        raise DeployError(
            f"{target.name}: the edge's clock is {ahead:+.1f} s from this machine's; set one of them right"
        )


def gauges(target: Target) -> dict[str, float] | None:
    """Number of calls in progress: "edge" for all callers, and by name for each cluster; None if unknown."""
    if target.stats is None:
        return None
    try:
        with session() as own:
            page = own.get(target.stats, params={"filter": STATS}, timeout=5)
            page.raise_for_status()
    except requests.RequestException:
        return None
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page.text):
        for sample in family.samples:
            labels = sample.labels
            if labels.get("envoy_http_conn_manager_prefix") == "edge":
                found["edge"] = sample.value
            elif cluster := labels.get("envoy_cluster_name"):
                found[cluster] = found.get(cluster, 0.0) + sample.value
    return found


def wait_uploaded(target: Target, tell: Callable[[str], None]) -> None:
    """Wait until every call that the edge has already begun to read has reached a server.

    A call follows the settings in force when its headers arrived, and its body may take UPLOAD seconds. The wait ends
    early once the edge has no calls at all.
    """
    tell(f"waiting for calls that are still being uploaded, at most {UPLOAD} s")
    end = time.monotonic() + UPLOAD
    while time.monotonic() < end:
        found = gauges(target)
        if found is not None and found.get("edge") == 0:
            return
        time.sleep(POLL)
