"""Searches a coarse grid, then the neighbours of the best until none is better, and measures the best few again."""

from __future__ import annotations

from collections.abc import Callable

from deploy.tuning.candidate import Candidate
from deploy.tuning.space import Space
from deploy.tuning.trial import Trial, merged

FINALISTS = 3
AGAIN = 2  # times


def search(
    space: Space,
    measure: Callable[[Candidate], Trial],
    p99: float | None = None,
    tell: Callable[[int, str], None] = lambda total, stage: None,
) -> list[Trial]:
    """Every trial, the best first: by throughput among the points whose 99th percentile is within `p99` milliseconds.

    The machine does other things too, so the finalists are measured again in turns, and their medians decide.
    tell: called with how many measurements there will be as far as is known, and what they are for.
    """
    trials: dict[Candidate, Trial] = {}

    def score(trial: Trial) -> float:
        return trial.score(p99)

    grid = space.grid()
    tell(len(grid) + AGAIN * FINALISTS, "coarse grid")
    for candidate in grid:
        trials[candidate] = measure(candidate)
    while True:
        best = max(trials.values(), key=score)
        fresh = [candidate for candidate in space.neighbours(best.candidate) if candidate not in trials]
        if not fresh:
            break
        tell(len(trials) + len(fresh) + AGAIN * FINALISTS, f"around {best.candidate}")
        for candidate in fresh:
            trials[candidate] = measure(candidate)
        if max(trials.values(), key=score) is best:
            break
    finalists = sorted(trials.values(), key=score, reverse=True)[:FINALISTS]
    tell(len(trials) + AGAIN * len(finalists), "the best again")
    again = {trial.candidate: [trial] for trial in finalists}
    for _ in range(AGAIN):
        for candidate in again:
            again[candidate].append(measure(candidate))
    trials |= {candidate: merged(found) for candidate, found in again.items()}
    first = sorted((trials[candidate] for candidate in again), key=score, reverse=True)
    return [*first, *sorted((t for c, t in trials.items() if c not in again), key=score, reverse=True)]
