"""Changes several servers, or undoes the change on all of them."""

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
    """Records how to undo each step; `all_or_nothing` undoes them in reverse order if a later one fails."""

    def __init__(self, stack: ExitStack, tell: Tell) -> None:
        self.stack, self.tell = stack, tell

    def add(self, step: str, undo: Callable[[], None]) -> None:
        """Record a step. step: its name in the report of an undo."""

        def attempt() -> None:
            try:
                undo()
                self.tell(f"undone: {step}")
            except (DeployError, ClientError, OSError) as error:
                self.tell(f"NOT undone: {step}: {error}")

        self.stack.callback(attempt)


@contextmanager
def all_or_nothing(tell: Tell) -> Iterator[Undoing]:
    """Undo all recorded steps if the block raises, including Ctrl-C and SIGTERM.

    tell: takes a line for each step that was or could not be undone. A second Ctrl-C skips the step it interrupts.
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
