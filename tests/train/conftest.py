"""Fixtures of the tests of training."""

from collections.abc import Iterator

import pytest

from train.rl.experiment import one_thread as single


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the stages themselves run: with small matrices a second thread waits more than it works."""
    with single():
        yield
