"""A worker that dies or does not come to an end, and its batch: TorchServe's own worker, in processes."""

import os
import signal
import socket
import time
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from handlers.torchserve import progress, quarantine
from tests.zygote.conftest import GOOD, REQUEST_S, RESPONSE_S, judged, trouble
from tests.zygote.front_end import FrontEnd
from zygote import keeper, shared_progress
from zygote.process import Zygote
from zygote.usage import resident


def test_both_sides_describe_the_same_memory() -> None:
    for name in ("HEADER", "SLOTS", "SENT", "WAITING", "WORKING", "ANSWERING"):
        assert getattr(shared_progress, name) == getattr(progress, name), name
    assert shared_progress.WORDS.size == 8 * len(progress.WORDS) <= progress.SLOTS
    assert shared_progress.Words._fields == progress.WORDS
    assert (shared_progress.BESIDE, keeper.PLAN) == (quarantine.BESIDE, progress.PLAN)
    assert progress.own_memory() == pytest.approx(resident(os.getpid()), rel=0.1)


@pytest.mark.parametrize(
    ("what", "position", "status", "type", "verdicts"),
    [
        (101, 0, 422, "TooSlow", ["hung"]),  # decoding in C, with Python's lock
        (102, 3, 500, "InternalError", ["hung", "hung"]),  # decoding that waits for something
        (103, 1, 500, "InternalError", ["signal", "signal"]),  # a decoder that crashes
        (108, 1, 500, "InternalError", ["exception", "exception"]),  # one that ends the process
        (109, 0, 500, "InternalError", ["signal", "signal"]),  # one that follows a null pointer
        (110, 2, 500, "InternalError", ["signal", "signal"]),  # one that has no memory left
        (111, 2, 422, "TooSlow", ["hung", "hung"]),  # a prediction in C
        (112, 0, 500, "InternalError", ["signal", "signal", "signal"]),  # one that is killed
    ],
)
def test_one_request_fails_and_its_neighbours_are_answered(
    front_end: FrontEnd, alone: list[Any], what: int, position: int, status: int, type: str, verdicts: list[str]
) -> None:
    rows = [{"data": row} for row in GOOD]
    rows.insert(position, {"data": trouble(what)})
    before, started = front_end.worker, time.monotonic()
    answers = front_end.ask(*rows)
    assert time.monotonic() - started < RESPONSE_S - 1
    assert answers[position] == (status, {"code": status, "type": type, "message": answers[position][1]["message"]})
    judged(alone, answers, [index for index in range(4) if index != position])
    assert front_end.worker != before
    assert front_end.process.is_running()
    assert front_end.ask({"data": GOOD[0]})[0][0] == 200
    deaths = front_end.deaths
    assert [death["verdict"] for death in deaths] == verdicts
    assert {(death["model"], death["version"], death["lost"]) for death in deaths} == {("trouble", "1.0", 0)}
    body = orjson.dumps({"data": trouble(what)})
    guilty = {"id": str(position), "sha256": sha256(body).hexdigest(), "bytes": len(body)}
    for death in deaths:  # a prediction of all of them is not one request's fault, until each is tried by itself
        assert guilty in death["requests"]
        assert len(death["requests"]) in (1, 4)
    assert deaths[-1]["requests"] == [guilty]


@pytest.mark.parametrize("what", [105, 106, 114])
def test_what_happens_to_a_worker_once_costs_nobody(front_end: FrontEnd, alone: list[Any], what: int) -> None:
    answers = front_end.ask(*({"data": row} for row in [*GOOD, trouble(what)]))
    judged(alone, answers, range(3))
    assert answers[3][0] == 200


def test_a_worker_that_is_killed_between_batches(front_end: FrontEnd, alone: list[Any]) -> None:
    for _ in range(2):
        judged(alone, front_end.ask(*({"data": row} for row in GOOD)), range(3))
        time.sleep(0.2)
        os.kill(front_end.worker, signal.SIGKILL)
    judged(alone, front_end.ask(*({"data": row} for row in GOOD)), range(3))


def test_a_worker_that_is_killed_in_the_middle_of_a_message(front_end: FrontEnd, alone: list[Any]) -> None:
    """However far it has come; what follows is read by another."""
    message = front_end.send(*({"data": row} for row in [*GOOD, GOOD[0]]))
    front_end.ask({"data": GOOD[0]})
    for cut in (1, len(message) // 2, len(message) - 1):
        front_end.connection.sendall(message[:cut])
        time.sleep(0.3)
        os.kill(front_end.worker, signal.SIGKILL)
        front_end.connection.sendall(message[cut:])
        code, _, answers = front_end.answers()
        assert (code, [status for status, _ in answers]) == (200, [200] * 4)


def test_a_worker_that_is_stopped_in_the_middle_of_a_batch(front_end: FrontEnd, alone: list[Any]) -> None:
    """It does not go on by itself, and its requests are not to blame."""
    front_end.connection.sendall(front_end.send(*({"data": row} for row in [*GOOD, trouble(107)])))
    time.sleep(0.3)
    psutil.Process(front_end.worker).suspend()
    code, _, answers = front_end.answers()
    assert (code, [status for status, _ in answers]) == (200, [200] * 4)


def test_several_that_take_too_long_end_within_the_time_of_the_batch(front_end: FrontEnd, alone: list[Any]) -> None:
    started = time.monotonic()
    answers = front_end.ask({"data": trouble(101)}, {"data": GOOD[0]}, {"data": trouble(111)}, {"data": trouble(101)})
    assert time.monotonic() - started < RESPONSE_S
    assert [status for status, _ in answers] == [422, 200, 422, 422]
    judged(alone[:1], answers, [1])


def test_a_caller_s_deadline(front_end: FrontEnd) -> None:
    [(status, body)] = front_end.ask({"data": trouble(101)}, headers={"X-Request-Deadline": str(time.time() - 1)})
    assert (status, body["type"]) == (504, "DeadlineExceeded")
    for other in (60, 86_400, -86_400):  # whose clock is a day behind has a deadline all the same
        [(status, _)] = front_end.ask({"data": GOOD[0]}, headers={"x-request-deadline": str(time.time() + other)})
        assert status == 200
    for odd in ("soon", "nan", "inf", "1e999", ""):
        [(status, _)] = front_end.ask({"data": GOOD[0]}, headers={"x-request-deadline": odd})
        assert status == 400


def test_a_stream_that_has_begun_is_not_begun_again(front_end: FrontEnd, alone: list[Any]) -> None:
    """TorchServe has sent its caller the first piece; the last one says what has happened."""
    front_end.connection.sendall(front_end.send({"data": trouble(113)}, {"data": GOOD[0]}))
    _, _, [(_, piece)] = front_end.answers()
    assert piece == b"{}"
    _, _, answers = front_end.answers()
    found = [(status, orjson.loads(body)) for status, body in answers]
    assert found[0][0] in (422, 500)
    judged(alone[:1], found, [1])


def test_a_worker_that_is_killed_while_it_sends_answers(front_end: FrontEnd, alone: list[Any]) -> None:
    """More of them than the socket holds: the keeper sends the rest, and nothing is computed again."""
    rows = [{"data": [number]} for number in range(3000)]
    front_end.connection.sendall(front_end.send(*rows))
    worker = psutil.Process(front_end.worker)
    front_end.connection.recv(1, socket.MSG_PEEK)
    while worker.status() != psutil.STATUS_SLEEPING:  # in the call that sends
        time.sleep(0.01)
    worker.kill()
    code, _, answers = front_end.answers()
    assert (code, [status for status, _ in answers]) == (200, [422] * len(rows))
    judged(alone, front_end.ask(*({"data": row} for row in GOOD)), range(3))
    [death] = front_end.deaths
    assert (death["verdict"], death["requests"], death["lost"]) == ("signal", [], 0)


def test_memory_that_stays_is_given_back_by_an_idle_worker(front_end: FrontEnd, alone: list[Any]) -> None:
    for _ in range(3):
        [(status, _)] = front_end.ask({"data": trouble(104)})
        assert status == 200
    worker, held = front_end.worker, resident(front_end.worker)
    assert held > 600 << 20
    front_end.wait_for("[PID]", times=2)
    [death] = front_end.deaths
    assert (death["verdict"], death["worker"], death["requests"]) == ("kept memory", worker, [])
    judged(alone, front_end.ask(*({"data": row} for row in GOOD)), range(3))
    assert front_end.worker != worker
    assert not psutil.pid_exists(worker)
    assert resident(front_end.worker) < held - (500 << 20)


def test_a_worker_that_dies_again_and_again_is_left_to_torchserve(front_end: FrontEnd, alone: list[Any]) -> None:
    """Which pauses between two starts."""
    for _ in range(keeper.MOST):
        judged(alone[:1], front_end.ask({"data": GOOD[0]}), [0])
        time.sleep(0.2)
        os.kill(front_end.worker, signal.SIGKILL)
    judged(alone[:1], front_end.ask({"data": GOOD[0]}), [0])
    os.kill(front_end.worker, signal.SIGKILL)
    assert front_end.process.wait(10) == keeper.LEFT
    assert [death["verdict"] for death in front_end.deaths] == ["signal"] * (keeper.MOST + 1)


def with_times(mar: Path, path: Path, request_s: float, response_s: int) -> Path:
    with zipfile.ZipFile(mar) as file, zipfile.ZipFile(path, "w") as changed:
        for name in file.namelist():
            values = file.read(name)
            if name == "model-config.yaml":
                values = values.replace(f"request_s: {REQUEST_S}".encode(), f"request_s: {request_s}".encode())
                values = values.replace(
                    f"responseTimeout: {RESPONSE_S}".encode(), f"responseTimeout: {response_s}".encode()
                )
            changed.writestr(name, values)
    return path


@pytest.mark.parametrize(
    ("what", "status", "type"),
    [
        (111, 503, "Unavailable"),  # a prediction in C
        (115, 500, "InternalError"),  # one that waits for something
    ],
)
def test_neighbours_are_answered_within_the_times_that_are_usual(
    zygote: Zygote, mar: Path, tmp_path: Path, alone: list[Any], what: int, status: int, type: str
) -> None:
    """By default a request may take a third of what a batch may."""
    with FrontEnd(zygote, with_times(mar, tmp_path / "usual.mar", 8, 24), tmp_path) as worker:
        started = time.monotonic()
        answers = worker.ask({"data": trouble(what)}, *({"data": row} for row in GOOD))
        assert time.monotonic() - started < 24
        assert (answers[0][0], answers[0][1]["type"]) == (status, type)
        judged(alone, answers, range(1, 4))
        assert worker.ask({"data": GOOD[0]})[0][0] == 200
        assert {death["lost"] for death in worker.deaths} == {0}


def test_where_there_is_no_time_for_another_worker(zygote: Zygote, mar: Path, tmp_path: Path) -> None:
    """As of a model that takes long to load: the process ends, and TorchServe fails the batch."""
    with FrontEnd(zygote, with_times(mar, tmp_path / "short.mar", REQUEST_S, 2), tmp_path) as worker:
        with pytest.raises(ConnectionError):
            worker.ask({"data": trouble(101)})
        assert worker.process.wait(10) == keeper.LEFT
        [death] = worker.deaths
        assert (death["verdict"], death["lost"], len(death["requests"])) == ("hung", 1, 1)


def test_a_successor_that_does_not_load(front_end: FrontEnd) -> None:
    """Its predecessor's batch is lost."""
    front_end.connection.sendall(front_end.send({"data": trouble(107)}, {"data": GOOD[0]}))
    time.sleep(0.3)
    (front_end.folder / "model" / "card.json").unlink()
    os.kill(front_end.worker, signal.SIGKILL)
    with pytest.raises(ConnectionError):
        front_end.answers()
    assert front_end.process.wait(10) == keeper.LEFT
    died, successor = front_end.deaths
    assert (died["verdict"], died["lost"]) == ("signal", 0)
    assert (successor["verdict"], successor["detail"], successor["lost"]) == ("startup failure", "exit status 1", 2)
    assert {(death["model"], death["version"]) for death in (died, successor)} == {("trouble", "1.0")}
