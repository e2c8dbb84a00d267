"""The edge of a target: changes of its traffic that count, and moments at which nothing is under way."""

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

READ = 20.0  # seconds in which an edge has read its settings
THREADS = 0.3  # seconds until the last of Envoy's threads has them, after the first
SKEW = 1.0
POLL = 0.1
STATS = "rq(_pending)?_active$"  # the gauges that are looked at, among thousands


class EdgeState(RestConnection):
    """Asks the edge by which traffic it goes."""

    def now(self) -> tuple[str, float]:
        """(digest of the traffic, its clock in seconds since 1970)."""
        digest, _, milliseconds = self._send("GET", "/traffic", "management", timeout=5).body.decode().partition(" ")
        return digest, int(milliseconds) / 1000


def change(target: Target, how: Callable[[Traffic], Traffic]) -> None:
    """Change the traffic of a target's edge, and return once calls go by it.

    Raises DeployError where the edge does not read its settings; the change then stands in the file all the same.
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
                reason = "it still goes by others"
        except ClientError as error:
            reason = str(error)
        time.sleep(POLL)
    raise DeployError(
        f"{target.name}: the edge has not read {target.traffic} within {READ:g} s ({reason}); is it running, "
        "and are these its settings?"
    )


def check_clock(target: Target, clock: float) -> None:
    """DeployError where the edge's clock is another: delays have an end by the clock."""
    ahead = clock - time.time()
    if abs(ahead) > SKEW:
        raise DeployError(
            f"{target.name}: the edge's clock is {ahead:+.1f} s from this machine's; set one of them right"
        )


def gauges(target: Target) -> dict[str, float] | None:
    """How many calls are under way: "edge", of callers; by name, of each cluster of servers. None: not known."""
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
    """Wait until every call that the edge had begun to read before is at a server.

    A call goes by the settings that were there when its head came, and its body may take UPLOAD seconds. There is
    nothing to wait for once the edge has been seen with no call at all.
    """
    tell(f"waiting for calls whose bodies are on their way, at most {UPLOAD} s")
    end = time.monotonic() + UPLOAD
    while time.monotonic() < end:
        found = gauges(target)
        if found is not None and found.get("edge") == 0:
            return
        time.sleep(POLL)
