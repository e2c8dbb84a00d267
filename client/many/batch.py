"""The calls of one `predict_many`, and their shared settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from client.answer import Answer
from client.call import Call
from client.errors import ClientError

# Exceptions that concern a single input; anything else is a programming error.
OF_ONE_INPUT = (ClientError, ValueError, TypeError, OSError)
# Finished results per concurrent call that may wait for an earlier one.
AHEAD = 4
Result = Answer | ClientError | ValueError | TypeError | OSError
Progress = Callable[[int, int | None], object]


@dataclass(frozen=True)
class Batch:
    """calls: read one by one, as results are consumed. total: their number, if known.

    progress: True for a bar on standard error, or a function of (results, total).
    """

    calls: Iterable[Call]
    concurrency: int
    progress: bool | Progress
    total: int | None

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"concurrency: got {self.concurrency}, wanted 1 or more")

    @property
    def ahead(self) -> int:
        """Maximum number of calls started before the first result is consumed."""
        return AHEAD * self.concurrency

    @contextmanager
    def shown(self) -> Iterator[Callable[[], object]]:
        """A function to call after each result."""
        if callable(self.progress):
            report, numbers = self.progress, count(1)
            yield lambda: report(next(numbers), self.total)
        elif self.progress:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            with Bar(*columns, console=Console(stderr=True)) as bar:
                task = bar.add_task("predictions", total=self.total)
                yield lambda: bar.advance(task)
        else:
            yield lambda: None
