"""Rates per second between two states of a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deploy.overview.counters import Counters
from deploy.overview.look import Look


@dataclass(frozen=True)
class Rates:
    """Per second. mean_ms: of what was timed in between; None where nothing was."""

    requests: float
    refused: float
    failed: float
    mean_ms: float | None


def rates(before: Counters, after: Counters, seconds: float) -> Rates:
    change = after.since(before)
    return Rates(change.requests / seconds, change.refused / seconds, change.failed / seconds, change.mean_ms)


@dataclass(frozen=True)
class Interval:
    """Two looks at one server, in their order."""

    before: Look
    after: Look

    @property
    def seconds(self) -> float:
        return self.after.at - self.before.at

    def of_model(self, name: str, version: str) -> Rates:
        """A version that did not exist in the first state started from 0."""
        found = [
            {(model.name, model.version): model.counters for model in seen.models}.get((name, version), Counters())
            for seen in (self.before, self.after)
        ]
        return rates(found[0], found[1], self.seconds)

    def of_edge(self) -> Rates | None:
        """None unless an edge answered both times."""
        edges = (self.before.edge, self.after.edge)
        counters = [edge.counters for edge in edges if edge and edge.counters]
        return rates(counters[0], counters[1], self.seconds) if len(counters) == len(edges) else None

    def to_dict(self) -> dict[str, Any]:
        """For --json: times in seconds, memory in bytes, rates per second."""
        now = self.after
        edge_rates = self.of_edge()
        return {
            "pid": now.pid,
            "uptime": now.uptime,
            "memory": now.memory,
            "address": now.address,
            "grpc": now.grpc,
            "interval": self.seconds,
            "supervisor": {
                "pid": now.supervisor,
                "restarts": now.restarted,
                "last": [vars(restart) for restart in now.restarts],
            },
            "models": [
                {
                    "name": model.name,
                    "version": model.version,
                    "default": model.default,
                    "workers": {"up": model.up, "asked": model.asked},
                    "queue": {"pending": model.pending, "capacity": model.capacity},
                    "memory": model.memory,
                    "requests": model.counters.requests,
                    "rates": vars(self.of_model(model.name, model.version)),
                }
                for model in now.models
            ],
            "edge": now.edge
            and {
                "address": now.edge.address,
                "pid": now.edge.pid,
                "answers": now.edge.counters is not None,
                "rates": edge_rates and vars(edge_rates),
            },
        }
