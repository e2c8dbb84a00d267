"""The parts of a supervisor: its record, the bound on logs, the causes it names, the workers it takes for lost."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from client.model_status import ModelStatus, Worker
from deploy.admission import Admission
from deploy.configuration import PROJECT
from deploy.ports import Ports
from deploy.supervision import recovery
from deploy.supervision.cause import cause
from deploy.supervision.logs import bound
from deploy.supervision.process import from_line, to_line
from deploy.supervision.record import KEPT, Record
from deploy.supervision.recovery import is_gone, is_stopped
from deploy.torchserve import TorchServe
from trust.keys import PrivateKey
from zygote.death import Verdict
from zygote.usage import memory_kills


@pytest.mark.parametrize(
    ("status", "kills_before", "verdict", "said"),
    [
        (3, 0, Verdict.OUT_OF_MEMORY, "out of heap"),
        (1, 0, Verdict.EXCEPTION, "by itself with exit status 1"),
        (-signal.SIGTERM, 0, Verdict.SIGNAL, r"killed \(SIGTERM\)$"),
        (-signal.SIGKILL, 10**9, Verdict.SIGNAL, r"killed \(SIGKILL\)$"),
        (-signal.SIGKILL, -1, Verdict.OUT_OF_MEMORY, r"killed \(SIGKILL\), by the kernel for want of memory"),
    ],
)
def test_why_a_process_has_ended(status: int, kills_before: int, verdict: Verdict, said: str) -> None:
    assert memory_kills() >= 0
    found, detail = cause(status, kills_before)
    assert found == verdict
    assert re.search(said, detail)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert Record.read(tmp_path) == Record(tmp_path)
    record = Record(tmp_path, 7, 1.5)
    for number in range(KEPT + 5):
        record.add_restart(Verdict.HUNG, f"reason {number}")
    record.add_recovery("a", "1.0")
    record.add_recovery("a", "1.0")
    found = Record.read(tmp_path)
    assert found == record
    assert (found.restarted, len(found.restarts), found.recovered) == (KEPT + 5, KEPT, {"a/1.0": 2})
    assert (found.restarts[-1].verdict, found.restarts[-1].reason) == ("hung", f"reason {KEPT + 4}")


def test_logs_are_bounded_while_they_are_written(tmp_path: Path) -> None:
    """The writer keeps its file open; nothing is lost but what is older than two files."""
    with (tmp_path / "console.log").open("ab", buffering=0) as log:
        for number in range(1000):
            log.write(b"%09d\n" % number)
            bound(tmp_path, largest=1000)
    files = [tmp_path / "console.1.log", tmp_path / "console.log"]
    assert sorted(tmp_path.iterdir()) == files
    lines = b"".join(path.read_bytes() for path in files).split()
    assert 100 <= len(lines) <= 202
    assert lines == [b"%09d" % number for number in range(1000 - len(lines), 1000)]


def test_workers_that_are_lost() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    worker = Worker("9000", "READY", process.pid, 0, False)
    assert not is_gone(worker)
    assert not is_stopped(worker)
    psutil.Process(process.pid).suspend()
    end = time.monotonic() + 5
    while not is_stopped(worker):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert is_gone(worker)
    assert not is_stopped(worker)
    # One that TorchServe itself starts again, or that has not been started yet.
    assert not is_gone(dataclasses.replace(worker, status="UNLOADING"))
    assert not is_gone(dataclasses.replace(worker, pid=-1))


@pytest.mark.parametrize(("patient", "status"), [(True, 0), (False, 1)])
def test_a_reader_that_leaves(patient: bool, status: int) -> None:
    """`serve --detach | head` goes on, as it must not stop the server that it has started; `serve | head` ends."""
    script = (
        "from deploy.report import PatientConsole\n"
        f"console = PatientConsole()\nconsole.patient = {patient}\n"
        "for number in range(5000):\n    console.print(number)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", script], cwd=PROJECT, stdout=subprocess.PIPE)
    assert writer.stdout
    assert writer.stdout.readline() == b"0\n"
    writer.stdout.close()
    assert writer.wait(60) == status


class Scaling:
    """Records the calls that change the number of workers."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def scale(self, model: str, min_workers: int, *others: object, **named: object) -> None:
        self.calls.append((model, min_workers))


def model_of(*workers: Worker) -> ModelStatus:
    return ModelStatus("m", "1.0", "m.mar", 3, 3, 1, 0, 0, 100, workers)


def test_what_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lost worker and those after it in TorchServe's list, once; one that loads or is started again is left."""
    monkeypatch.setattr(recovery, "GIVEN_UP", 0.3)
    well, gone = Worker("9000", "READY", os.getpid(), 0, False), Worker("9001", "READY", 2**22 + 1, 0, False)
    loads, dead = Worker("9002", "UNLOADING", os.getpid(), 0, False), Worker("9003", "UNLOADING", -1, 0, False)
    found, scaling = recovery.Recovery(Record(tmp_path)), Scaling()
    management: Any = scaling
    for _ in range(3):  # the last of them is late
        found.look(management, [model_of(well, gone, loads)])
    assert scaling.calls == [("m", 1), ("m", 3)]
    found.look(management, [model_of(well, loads, dead)])
    assert len(scaling.calls) == 2
    time.sleep(0.4)
    found.look(management, [model_of(well, loads, dead)])
    assert scaling.calls[2:] == [("m", 2), ("m", 3)]
    assert Record.read(tmp_path).recovered == {"m/1.0": 2}


def test_every_setting_of_a_server_reaches_its_supervisor(tmp_path: Path) -> None:
    keys = tmp_path / "team.pub"
    PrivateKey.generate().write(tmp_path / "team.pem", keys)
    admission = Admission(tmp_path / "source", tmp_path / "store", keys)
    server = TorchServe(
        tmp_path / "store",
        tmp_path / "run",
        Ports.shifted(5),
        host="192.0.2.1",
        tokens=False,
        console=True,
        preload=["torch"],
        models=3,
        admission=admission,
    )
    settings = [field for field in dataclasses.fields(TorchServe) if field.init]
    defaults = {field.name: field.default for field in settings}
    told = from_line(to_line(server))
    for field in settings:
        value = getattr(server, field.name)
        assert value != defaults[field.name], "the test has to set it"
        if field.name != "admission":
            assert getattr(told, field.name) == value
    assert told.admission is not None
    assert told.admission.to_json() == admission.to_json()
