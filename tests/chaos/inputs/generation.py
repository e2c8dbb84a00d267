"""Values of Hypothesis's strategies, outside a test: any number, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from threading import Lock
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")
ROUND = 50
GENERATING = Lock()  # Hypothesis makes one thread's examples at a time


def examples(strategy: SearchStrategy[T], number: int, start: int) -> list[T]:
    """About `number` values; start: the seed."""
    made: list[T] = []

    @seed(start)
    @settings(
        max_examples=number,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: T) -> None:
        made.append(value)

    with GENERATING:
        collect()
    return made


def rounds(strategy: SearchStrategy[T], start: int, size: int = ROUND) -> Iterator[list[T]]:
    """Without an end. A round begins with the simplest values, so it is not too small."""
    for number in count():
        yield examples(strategy, size, start * 1_000_003 + number)
