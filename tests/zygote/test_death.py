"""Why a worker has ended, and the line that says so."""

import signal

import orjson
import pytest

from zygote.death import MARK, Death, Verdict, end_of
from zygote.shared_progress import Held


@pytest.mark.parametrize(
    ("status", "killed_for_memory", "verdict", "detail"),
    [
        (-signal.SIGKILL, True, Verdict.OUT_OF_MEMORY, "SIGKILL, apparently by the kernel"),
        (-signal.SIGKILL, False, Verdict.SIGNAL, "SIGKILL"),
        (-signal.SIGSEGV, True, Verdict.SIGNAL, "SIGSEGV"),
        (-signal.SIGRTMIN - 2, False, Verdict.SIGNAL, f"signal {signal.SIGRTMIN + 2}"),
        (1, True, Verdict.EXCEPTION, "exit status 1"),
    ],
)
def test_an_end(status: int, killed_for_memory: bool, verdict: Verdict, detail: str) -> None:
    assert end_of(status, killed_for_memory) == (verdict, detail)


def test_a_death_is_one_line_that_can_be_read_again() -> None:
    death = Death(Verdict.HUNG, "a\nmodel", 7, "12.0 s", (Held("id\n", "00", 7),), 3, "1.0")
    line = str(death)
    assert "\n" not in line
    values = orjson.loads(line.removeprefix(MARK))
    values["requests"] = tuple(Held(**held) for held in values["requests"])
    assert Death(**values) == death
