"""A worker whose warm process, which it was forked from, ends."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from tests.zygote.conftest import GOOD, judged, trouble
from tests.zygote.front_end import FrontEnd
from zygote import keeper
from zygote.libraries import libraries
from zygote.process import Zygote


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Zygote]:
    """A warm process that a test may kill."""
    started = Zygote(tmp_path / "warm", libraries(), os.environ)
    yield started
    started.stop()


def test_torchserve_writes_the_batch_that_it_is_collecting_before_it_learns_of_a_death(
    other: Zygote, mar: Path, tmp_path: Path
) -> None:
    """No worker can be forked any more; it would forget those requests."""
    with FrontEnd(other, mar, tmp_path) as front_end:
        other.process.kill()
        time.sleep(0.5)
        front_end.connection.sendall(front_end.send({"data": GOOD[0]}))
        with pytest.raises(ConnectionError):
            front_end.answers()
        assert front_end.process.wait(10) == keeper.LEFT
        assert [death["verdict"] for death in front_end.deaths] == ["signal"]


def test_a_worker_of_the_next_warm_process(other: Zygote, mar: Path, tmp_path: Path, alone: list[Any]) -> None:
    """It takes over the batch of one that ended with the first."""
    with FrontEnd(other, mar, tmp_path) as front_end:
        message = front_end.send(*({"data": row} for row in [*GOOD, trouble(107)]))
        front_end.connection.sendall(message)
        time.sleep(0.3)
        other.process.kill()
        other.process.wait()
        time.sleep(1)
        following = Zygote(other.folder, libraries(), os.environ, until=os.getpid())
        try:
            code, _, answers = front_end.answers()
            judged(alone, [(status, orjson.loads(body)) for status, body in answers][:3], range(3))
            assert (code, answers[3][0]) == (200, 200)
            assert psutil.Process(front_end.worker).ppid() == following.process.pid
            assert [death["lost"] for death in front_end.deaths] == [0]
        finally:
            following.stop()
