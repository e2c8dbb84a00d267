"""Workers that know of each other's work: real processes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handlers.acceleration.busy_workers import BusyWorkers

PROJECT = Path(__file__).parents[3]
OTHER = """
import sys
from pathlib import Path
from handlers.acceleration.busy_workers import BusyWorkers
neighbours = BusyWorkers(Path(sys.argv[1]))
with neighbours:
    print(neighbours.others_idle(), flush=True)
    sys.stdin.readline()
print(neighbours.others_idle(), flush=True)
sys.stdin.readline()
"""


@contextmanager
def worker(path: Path) -> Iterator[subprocess.Popen[str]]:
    """One that has begun to compute; its first line says whether the others rested then."""
    command = [sys.executable, "-c", OTHER, str(path)]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_worker_sees_the_others_work_and_not_its_own(tmp_path: Path) -> None:
    path = tmp_path / "computing"
    ours = BusyWorkers(path)
    with ours:
        assert ours.others_idle()
        with worker(path) as other:
            assert line(other) == "False"
            assert not ours.others_idle()
    assert ours.others_idle()


def test_work_that_has_ended_no_longer_counts(tmp_path: Path) -> None:
    path = tmp_path / "computing"
    ours = BusyWorkers(path)
    with worker(path) as other:
        assert line(other) == "True"
        assert other.stdin is not None
        other.stdin.write("\n")
        other.stdin.flush()
        assert line(other) == "True"
        assert ours.others_idle()


def test_a_worker_that_dies_at_its_work_no_longer_counts(tmp_path: Path) -> None:
    path = tmp_path / "computing"
    ours = BusyWorkers(path)
    with worker(path) as other:
        assert line(other) == "True"
        assert not ours.others_idle()
        other.kill()
        other.wait()
        assert ours.others_idle()


def test_any_number_of_them(tmp_path: Path) -> None:
    path = tmp_path / "computing"
    ours = BusyWorkers(path)
    with worker(path) as one, worker(path) as another:
        assert (line(one), line(another)).count("True") <= 1
        for other in (one, another):
            assert not ours.others_idle()
            other.kill()
            other.wait()
        assert ours.others_idle()
