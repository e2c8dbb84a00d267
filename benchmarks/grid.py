"""`python -m benchmarks.grid [MODEL]`: how far what `deploy tune` chooses is from the best of a full grid.

Every point of the grid is measured once, then the search runs as `deploy tune` runs it, with measurements of its own;
then its choice and the grid's leaders are measured again in turns, and those medians decide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.models import PROJECT
from deploy.serving_plan import Machine
from deploy.tuning.bench import Bench
from deploy.tuning.candidate import Candidate, backends
from deploy.tuning.search import search
from deploy.tuning.space import Space, least_delay
from deploy.tuning.trial import Trial, merged

WORKERS, THREADS, SIZES, DELAY = (1, 2, 3), (1, 2), (1, 2, 4, 8), 5
LEADERS = 3  # of the grid, measured again
HEAD = ("", "backend", "workers", "threads", "batch", "delay ms", "answers/s, measured once", "again, in turns")


@dataclass(frozen=True)
class Outcome:
    """grid: every point's trial, the best first. choice: of the search, which took `searched` measurements.

    again: the choice and the grid's leaders, one trial a round each.
    """

    grid: Sequence[Trial]
    choice: Candidate
    searched: int
    again: dict[Candidate, list[Trial]]

    @property
    def best(self) -> Candidate:
        """The leader with the highest median of the second measurements."""
        return max(self.again, key=lambda candidate: merged(self.again[candidate]).score(None))

    @property
    def ratio(self) -> float:
        """The choice's throughput over the best one's: the median over the rounds."""
        pairs = zip(self.again[self.choice], self.again[self.best], strict=True)
        return median(chosen.score(None) / best.score(None) for chosen, best in pairs)


def full(cores: int, backends: Sequence[str]) -> list[Candidate]:
    """Every point but the absurd ones: threads that share cores twice over, a delay where nobody waits."""
    return [
        Candidate(backend, workers, threads, size, delay)
        for backend, workers, threads, size in product(backends, WORKERS, THREADS, SIZES)
        for delay in (least_delay(size), DELAY)
        if workers * threads <= cores + 1 and (size > 1 or delay != DELAY)
    ]


def compared(
    bench: Bench, points: Sequence[Candidate], space: Space, rounds: int, tell: Callable[[str], None]
) -> Outcome:
    stage, count, total = "grid", 0, len(points)

    def measure(candidate: Candidate) -> Trial:
        nonlocal count
        count += 1
        tell(f"{stage}: {count} of {total or 'some'}, {candidate}")
        return bench.measure(candidate)

    grid = sorted((measure(point) for point in points), key=lambda trial: trial.score(None), reverse=True)
    stage, count, total = "search", 0, 0
    choice = search(space, measure)[0].candidate
    searched = count
    again: dict[Candidate, list[Trial]] = {c: [] for c in (choice, *(t.candidate for t in grid[:LEADERS]))}
    stage, count, total = "again", 0, rounds * len(again)
    for number in range(rounds):
        for candidate in sorted(again, reverse=bool(number % 2)):
            again[candidate].append(measure(candidate))
    return Outcome(grid, choice, searched, again)


def table(outcome: Outcome) -> str:
    once = {trial.candidate: trial for trial in outcome.grid}
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    for candidate, trials in sorted(outcome.again.items(), key=lambda item: -merged(item[1]).score(None)):
        first = f"{once[candidate].score(None):.1f}" if candidate in once else "not in the grid"
        name = "chosen" if candidate == outcome.choice else "of the grid"
        keys = (candidate.backend, candidate.workers, candidate.threads, candidate.size, candidate.delay_ms)
        row = [name, *map(str, keys), first, f"{merged(trials).score(None):.1f}"]
        lines.append(f"| {' | '.join(row)} |")
    scores = [trial.score(None) for trial in outcome.grid]
    lines += [
        "",
        f"The grid's {len(scores)} points answer {min(scores):.1f} to {max(scores):.1f} requests a second; "
        f"the search took {outcome.searched} measurements. Its choice reaches {outcome.ratio:.2f} of the best.",
    ]
    return "\n".join(lines) + "\n"


def main(
    model: Annotated[str, typer.Argument(help="Of model_store/.")] = "imagenet",
    concurrency: Annotated[str, typer.Option(help="Requests at once, a list; the better counts.")] = "8,32",
    seconds: Annotated[float, typer.Option(help="Of each measurement.")] = 1.0,
    rounds: Annotated[int, typer.Option(help="Of the choice and the leaders in turns.", min=1)] = 5,
    output: Annotated[Path, typer.Option(help="The table, as Markdown.")] = Path("bench/grid.md"),
) -> None:
    """Measure a full grid, run the search of `deploy tune`, and compare. About ten minutes; CPUs only."""
    archive = PROJECT / "model_store" / f"{model}.mar"
    machine = Machine.detect()
    kinds = backends(archive)
    levels = [int(level) for level in concurrency.split(",")]
    with Console(stderr=True).status("starting") as status, Bench(archive, levels, seconds) as bench:
        points, space = full(machine.cores, kinds), Space(machine.cores, 0, kinds)
        text = table(compared(bench, points, space, rounds, status.update))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    typer.run(main)
