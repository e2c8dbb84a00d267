"""The measurements on a GPU as JSON, a Markdown table and a plot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from benchmarks.gpu.limits import DECODE, FORWARD, HANDLER, Limit
from benchmarks.gpu.machine import commit, driver

PROJECT = Path(__file__).parents[2]

if TYPE_CHECKING:  # it imports the server's side, which a machine that measures the limits alone need not have
    from benchmarks.comparison import Measurement


class Served(Protocol):
    """As gpu_served.py has it."""

    @property
    def measurement(self) -> Measurement: ...
    @property
    def busy(self) -> float: ...
    @property
    def memory(self) -> float: ...


@dataclass
class Report:
    """path: of the files, without their suffix. sections: tables of the probe, in Markdown, before the limits.

    notes: what could not be measured, and why. failed: whether a test did.
    """

    model: str
    path: Path
    limits: list[Limit] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: bool = False

    def best(self, part: str) -> float:
        """Of `part`, images a second; NaN where nothing was measured."""
        return max((limit.throughput for limit in self.limits if limit.part == part), default=float("nan"))

    @property
    def limit(self) -> float:
        """The limit for a server: the slower of decoding, with the resize, and of the model; NaN if one is unknown."""
        parts = self.best(DECODE), self.best(FORWARD)
        return float("nan") if any(isnan(part) for part in parts) else min(parts)

    @property
    def constant(self) -> float:
        """Images a second at which a server is measured at a constant rate: half the limit, as far as that is known."""
        known = [part for part in (self.best(DECODE), self.best(FORWARD)) if not isnan(part)]
        return min(known, default=0.0) / 2

    def save(self) -> str:
        """Write what there is so far; returns the table."""
        record: dict[str, Any] = {
            "machine": machine(),
            "limit": known(self.limit),
            "limits": [asdict(limit) for limit in self.limits],
            "served": [
                {
                    name: known(value)
                    for name, value in {**one.measurement.to_dict(), "busy": one.busy, "memory": one.memory}.items()
                }
                for one in self.served
            ],
            "notes": self.notes,
        }
        text = "\n".join(self.lines()) + "\n"
        self.path.with_suffix(".json").write_text(json.dumps(record, indent=1), encoding="utf-8")
        self.path.with_suffix(".md").write_text(text, encoding="utf-8")
        if self.served:
            from benchmarks.comparison import IN_PROCESS, Measurement
            from benchmarks.plot import plot

            limit = Measurement(self.model, "limit", IN_PROCESS, 0, self.limit)
            plot([*(one.measurement for one in self.served), limit], self.path.with_suffix(".png"))
        return text

    def lines(self) -> list[str]:
        lines = [f"{self.model} · {machine()}:", ""]
        for section in self.sections:
            lines += [section, ""]
        lines += ["| | | batch | images/s |", "|---|---|---|---|"]
        for part in (DECODE, FORWARD, HANDLER):
            for one in self.limits:
                if one.part == part:
                    lines.append(f"| {part} | {one.name} | {one.size} | {one.throughput:.0f} |")
        limit = "not known" if isnan(self.limit) else f"{self.limit:.0f} images/s"
        lines += ["", f"The limit, the slower of decoding and of the model: {limit}."]
        if self.served:
            lines += ["", *served_table(self.served, self.limit, self.constant)]
        return [*lines, *(f"\n{note}" for note in self.notes)]


def known(value: Any) -> Any:
    """None for NaN, which JSON has not."""
    return None if isinstance(value, float) and isnan(value) else value


def served_table(served: Sequence[Served], limit: float, constant: float) -> list[str]:
    from benchmarks.comparison import CONSTANT

    head = ("", "requests at once", "images/s", "of the limit", "p50 ms", "p95", "p99", "GPU busy", "GPU GiB")
    lines = ["| " + " | ".join([*head, "errors", "wrong"]) + " |", "|---" * (len(head) + 2) + "|"]
    for one in served:
        m = one.measurement
        load = f"a constant {constant:.0f}/s" if m.concurrency == CONSTANT else str(m.concurrency)
        row = [m.name, load, f"{m.throughput:.0f}", "" if isnan(limit) else f"{m.throughput / limit:.2f}"]
        row += [f"{m.p50:.1f}", f"{m.p95:.1f}", f"{m.p99:.1f}", f"{one.busy:.0%}", f"{one.memory / 2**30:.1f}"]
        lines.append(f"| {' | '.join(row)} | {m.errors} | {m.wrong} |")
    return lines


def machine() -> str:
    """Date, commit, device and driver, as docs/measurements.md names them above a table."""
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "a CPU"
    version = driver().get("driver")
    of_driver = f", driver {version}" if version else ""
    return f"{datetime.now(UTC).date()}, {commit(PROJECT)}, {device}{of_driver}, torch {torch.__version__}"
