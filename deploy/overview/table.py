"""The overview as a table."""

from __future__ import annotations

import time

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.overview.look import Look
from deploy.overview.rates import Interval, Rates

COLUMNS = ("model", "version", "workers", "queue", "req/s", "4xx/s", "5xx/s", "batch ms", "memory")
LEFT = 2  # columns of text before those of numbers
MIB = 2**20


def overview(interval: Interval) -> RenderableType:
    """A line about the server, a row for each version of a model, and lines about the edge and the supervisor."""
    now = interval.after
    return Group(headline(now), models(interval), edge(interval), supervision(now), legend(interval))


def headline(look: Look) -> Text:
    where = look.edge.address if look.edge else f"{look.address} (REST) and {look.grpc} (gRPC)"
    return Text(f"{where}, up {duration(look.uptime)}, pid {look.pid}, {look.memory / MIB:.0f} MiB", style="bold")


def models(interval: Interval) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0))
    for index, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if index < LEFT else "right", no_wrap=index > 0, overflow="fold")
    for model in interval.after.models:
        table.add_row(
            model.name,
            f"{model.version} *" if model.default else model.version,
            Text(f"{model.up}/{model.asked}", style="" if model.up >= max(1, model.asked) else "red"),
            Text(f"{model.pending}/{model.capacity}", style="yellow" if model.pending else ""),
            *cells(interval.of_model(model.name, model.version)),
            f"{model.memory / MIB:.0f} MiB",
        )
    return table


def cells(rates: Rates) -> tuple[Text | str, ...]:
    return (
        f"{rates.requests:.1f}",
        Text(f"{rates.refused:.1f}", style="yellow" if rates.refused else ""),
        Text(f"{rates.failed:.1f}", style="red" if rates.failed else ""),
        "–" if rates.mean_ms is None else f"{rates.mean_ms:.1f}",
    )


def edge(interval: Interval) -> Text:
    now = interval.after.edge
    if now is None:
        return Text("no edge", style="dim")
    rates = interval.of_edge()
    if rates is None:
        return Text(f"edge: pid {now.pid} does not answer", style="red")
    mean = "" if rates.mean_ms is None else f", {rates.mean_ms:.1f} ms for callers"
    counts = f"{rates.requests:.1f} req/s, {rates.refused:.1f} 4xx/s, {rates.failed:.1f} 5xx/s"
    return Text(f"edge: pid {now.pid}, {counts}{mean}")


def supervision(look: Look) -> Text:
    if look.supervisor is None:
        return Text("no supervisor: a server that ends is not started again", style="yellow")
    if not look.restarts:
        return Text(f"supervisor: pid {look.supervisor}, no restart", style="dim")
    last = look.restarts[-1]
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last.at))
    why = f"{last.verdict}: {last.reason}"
    times = f"{look.restarted} restart{'s' if look.restarted > 1 else ''}"
    return Text(f"supervisor: pid {look.supervisor}, {times}, the last {when}: {why}", style="yellow")


def legend(interval: Interval) -> Text:
    text = f"* default version; rates over {interval.seconds:.1f} s; batch ms: a batch in its worker, without the queue"
    return Text(text, style="dim")


def duration(seconds: float) -> str:
    """The two largest units: 3 d 4 h, 5 h 6 min, 7 min 8 s, 9 s."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((index for index, (value, _) in enumerate(parts) if value), len(parts) - 1)
    return " ".join(f"{value} {unit}" for value, unit in parts[first : first + 2])
