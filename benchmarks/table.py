"""The measurements as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.comparison import CONSTANT, IN_PROCESS, LOAD_FRACTION, Measurement, StaticCosts, medians

HEAD = "| | requests at once | images/s | of the limit | p50 ms | p95 | p99 | p99.9 | CPU ms each | errors | wrong |"


def limit_of(found: Sequence[Measurement]) -> float:
    """The best median of what runs in process."""
    return max(values["throughput"] for (_, concurrency), values in medians(found).items() if concurrency == IN_PROCESS)


def table(found: Sequence[Measurement], static_costs: Sequence[StaticCosts]) -> str:
    """One row for each system and concurrency: medians over the rounds, the range of the throughput beside it."""
    best = limit_of(found)
    lines = [HEAD, "|---" * HEAD.count(" | ") + "|---|"]
    for (name, concurrency), v in medians(found).items():
        speed = f"{v['throughput']:.1f} ({v['low']:.1f}–{v['high']:.1f})"
        load = {IN_PROCESS: "–", CONSTANT: f"a constant {LOAD_FRACTION:.0%} of the limit"}.get(
            concurrency, str(concurrency)
        )
        row = [name, load, speed, f"{v['throughput'] / best:.2f}"]
        if concurrency != IN_PROCESS:
            row += [f"{v[n]:.1f}" for n in ("p50", "p95", "p99", "p999")]
            row += [f"{v['cpu_ms']:.2f}", f"{v['errors']:.0f}", f"{v['wrong']:.0f}"]
        else:
            row += ["–"] * 7
        lines.append(f"| {' | '.join(row)} |")
    lines += ["", "| | start to first answer, s | memory, MiB |", "|---|---|---|"]
    lines += [f"| {s.name} | {s.startup:.1f} | {s.memory / 2**20:.0f} |" for s in static_costs]
    return "\n".join(lines) + "\n"
