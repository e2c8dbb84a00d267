"""The costs of starts as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks.startup.costs import Costs
from benchmarks.worker_parts import PARTS

TIMES = (
    "model",
    "worker ready, s",
    "plain Python, s",
    "ratio",
    "least–most",
    "until the worker's process starts, s",
    "CPU, s",
    "of plain Python",
    "ratio of the CPU's",
)


MEMORY = ("model", "plain Python", "one worker: PSS", "USS", "two workers: PSS together", "USS of each", "libraries")


def times_row(model: str, costs: Costs) -> list[str]:
    starts, plains = zip(*costs.pairs, strict=True)
    return [
        model,
        f"{median(start.seconds for start in starts):.2f}",
        f"{median(other.seconds for other in plains):.2f}",
        f"{median(costs.ratios):.2f}",
        f"{min(costs.ratios):.2f}–{max(costs.ratios):.2f}",
        f"{median(start.spawned for start in starts):.2f}",
        f"{median(start.cpu for start in starts):.2f}",
        f"{median(other.cpu for other in plains):.2f}",
        f"{median(start.cpu / other.cpu for start, other in costs.pairs):.2f}",
    ]


def memory_row(model: str, costs: Costs) -> list[str]:
    starts, plains = zip(*costs.pairs, strict=True)
    return [
        model,
        mib(median(other.uss for other in plains)),
        mib(median(start.pss for start in starts)),
        mib(median(start.uss for start in starts)),
        mib(median(start.two for start in starts)),
        mib(median(start.second for start in starts)),
        ", ".join(costs.libraries),
    ]


def parts_row(model: str, costs: Costs) -> list[str]:
    """Of each part what it adds: seconds, and MiB of the process's own memory."""
    before = [0, *(uss for _, uss in costs.parts)]
    return [
        model,
        *(f"{seconds:.2f} s, {mib(uss - last)}" for (seconds, uss), last in zip(costs.parts, before, strict=False)),
    ]


def mib(size: float) -> str:
    return f"{size / 2**20:.0f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


def report(found: dict[str, Costs]) -> str:
    return "\n".join(
        [
            table(TIMES, [times_row(*item) for item in found.items()]),
            table(("model", *PARTS), [parts_row(*item) for item in found.items()]),
            table(MEMORY, [memory_row(*item) for item in found.items()]),
        ]
    )
