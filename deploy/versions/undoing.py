"""A change of several servers that is made on all or undone on all."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import NoReturn

from client import ClientError
from deploy.errors import DeployError

Tell = Callable[[str], None]


class Undoing:
    """Takes note of how to undo each step; `all_or_nothing` does so in reverse where a later one fails."""

    def __init__(self, stack: ExitStack, tell: Tell) -> None:
        self.stack, self.tell = stack, tell

    def add(self, step: str, undo: Callable[[], None]) -> None:
        """step: as the report of undoing it names it."""

        def attempt() -> None:
            try:
                undo()
                self.tell(f"undone: {step}")
            except (DeployError, ClientError, OSError) as error:
                self.tell(f"NOT undone: {step}: {error}")

        self.stack.callback(attempt)


@contextmanager
def all_or_nothing(tell: Tell) -> Iterator[Undoing]:
    """Undo what was done where the block ends by an exception, Ctrl-C and SIGTERM among them.

    tell: takes a line for each step that is undone, or cannot be. A second Ctrl-C leaves the step out that it meets.
    """
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with ExitStack() as stack:
            yield Undoing(stack, tell)
            stack.pop_all()
    finally:
        signal.signal(signal.SIGTERM, before)


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
