"""Inputs that end workers: refused from the third time on, whoever sends them, and nobody else's; real processes."""

import json
import os
import signal
import time
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import orjson
import pytest

from handlers.protocol import deadline
from handlers.torchserve import quarantine as refusal
from handlers.torchserve.quarantine import Quarantine
from tests.zygote.conftest import GOOD, judged, trouble
from tests.zygote.front_end import END, FrontEnd, field
from zygote import death_record, quarantine, shared_file
from zygote.death import Death, Verdict
from zygote.shared_progress import HEADER, Held, SharedProgress


def refused(answer: tuple[int, Any]) -> bool:
    status, body = answer
    return status == 422 and body["type"] == "Quarantined"


def test_both_sides_agree() -> None:
    assert (refusal.FOLDER, refusal.NAME, refusal.DEATHS) == (shared_file.FOLDER, quarantine.NAME, quarantine.DEATHS)


@pytest.mark.parametrize("what", [103, 108, 109, 110, 112])
def test_an_input_that_has_ended_two_workers_is_refused(front_end: FrontEnd, alone: list[Any], what: int) -> None:
    bad = {"data": trouble(what)}
    rows = [{"data": row} for row in GOOD]
    assert front_end.ask(bad, *rows)[0][0] == 500
    worker = front_end.worker
    started = time.monotonic()
    answers = front_end.ask(rows[0], bad, rows[1], rows[2])
    assert time.monotonic() - started < 1
    assert refused(answers[1])
    judged(alone, answers, [0, 2, 3])
    digest = sha256(orjson.dumps(bad)).hexdigest()
    message = answers[1][1]["message"]
    assert digest[:16] in message
    assert "bundle deploy quarantine clear" in message
    assert len(message) < 300
    # Another input of the same length, and one that differs by a space, are read.
    assert front_end.ask({"data": [0, 107.0, 0, 0]})[0][0] == 200
    assert front_end.worker == worker
    assert [death["verdict"] for death in death_record.last(str(front_end.records))] == [
        death["verdict"] for death in front_end.deaths
    ]
    assert len(front_end.deaths) == sum(death_record.counts(str(front_end.records)).values())


def test_twice_in_a_batch_the_second_is_refused_already(front_end: FrontEnd) -> None:
    bad = {"data": trouble(108)}
    first, second = front_end.ask(bad, bad)
    assert (first[0], first[1]["type"]) == (500, "InternalError")
    assert refused(second)
    assert len(front_end.deaths) == 2


def test_a_request_that_takes_too_long_is_refused_after_the_second_time(front_end: FrontEnd) -> None:
    bad = {"data": trouble(101)}
    for type in ("TooSlow", "TooSlow", "Quarantined"):
        [(status, body)] = front_end.ask(bad)
        assert (status, body["type"]) == (422, type)
    assert [death["verdict"] for death in front_end.deaths] == ["hung", "hung"]


def test_what_is_beside_an_input_does_not_make_it_another(front_end: FrontEnd) -> None:
    """A deadline and the type, over gRPC entries of the call; a parameter does."""
    bad = orjson.dumps({"data": trouble(108)})
    assert front_end.ask(bad)[0][0] == 500
    assert front_end.deaths[-1]["requests"][0]["sha256"] == sha256(bad).hexdigest()
    for seconds in (60, 61):
        entries = {"accept": "application/json", deadline.HEADER: str(time.time() + seconds)}
        assert refused(front_end.ask(bad, entries=entries)[0])
    parameter = {"epsilon": "0", "content-type": "application/json"}
    assert front_end.ask(bad, entries=parameter)[0][0] == 500
    assert refused(front_end.ask(bad, entries=dict(reversed(parameter.items())))[0])


def test_clearing_counts_from_the_next_request_on(front_end: FrontEnd) -> None:
    bad, folder = {"data": trouble(108)}, str(front_end.records)
    assert front_end.ask(bad)[0][0] == 500
    assert refused(front_end.ask(bad)[0])
    [cleared] = quarantine.clear(folder, lambda entry: entry.model == "trouble")
    assert (cleared.version, cleared.deaths, cleared.verdict) == ("1.0", 2, "exception")
    assert quarantine.entries(folder) == []
    assert front_end.ask(bad)[0][0] == 500


def test_an_entry_of_another_version_or_one_that_has_expired_refuses_nothing(front_end: FrontEnd) -> None:
    row = {"data": GOOD[0]}
    body = orjson.dumps(row)
    entry = {"model": "trouble", "sha256": sha256(body).hexdigest(), "bytes": len(body), "deaths": 2, "verdict": "hung"}
    later = time.time() + 60
    path = front_end.records / quarantine.NAME

    def put(*entries: dict[str, Any]) -> None:
        with shared_file.changed(str(path)) as values:
            values["inputs"] = list(entries)

    put(
        {**entry, "version": "2.0", "until": later},
        {**entry, "version": "1.0", "until": time.time() - 1},
        {**entry, "version": "1.0", "model": "other", "until": later},
        {**entry, "version": "1.0", "deaths": 1, "sha256": entry["sha256"], "until": later},
    )
    assert front_end.ask(row)[0][0] == 200
    put({**entry, "version": "1.0", "until": later})
    assert refused(front_end.ask(row)[0])


def test_what_others_do_to_a_worker_is_no_input_s_fault(front_end: FrontEnd) -> None:
    """A worker that is killed once in the midst of a request, and again beside several that are predicted together."""
    for _ in range(2):
        front_end.connection.sendall(front_end.send({"data": trouble(107)}))
        time.sleep(0.3)
        os.kill(front_end.worker, signal.SIGKILL)
        code, _, answers = front_end.answers()
        assert (code, [status for status, _ in answers]) == (200, [200])
    assert len(front_end.deaths) == 2
    assert quarantine.entries(str(front_end.records)) == []


def test_a_record_that_cannot_be_written_costs_nobody_an_answer(front_end: FrontEnd, alone: list[Any]) -> None:
    front_end.records.rmdir()
    rows = [{"data": row} for row in GOOD]
    answers = front_end.ask({"data": trouble(108)}, *rows)
    assert answers[0][0] == 500
    judged(alone, answers, [1, 2, 3])
    assert "a death is not recorded" in front_end.said


def death(model: str, sha: str) -> Death:
    return Death(Verdict.SIGNAL, model, 7, "SIGSEGV", (Held("1", sha, 3),), 0, "1.0")


def test_the_list_is_bounded_for_each_version(tmp_path: Any) -> None:
    folder = str(tmp_path)
    death_record.blame(folder, death("other", "ff"), 2)
    for number in range(quarantine.KEPT + 20):
        death_record.blame(folder, death("m", f"{number:02x}"), 2)
    found = quarantine.entries(folder)
    assert [entry.sha256 for entry in found if entry.model == "m"] == [
        f"{n:02x}" for n in range(20, quarantine.KEPT + 20)
    ]
    assert [entry.sha256 for entry in found if entry.model == "other"] == ["ff"]
    for _ in range(death_record.KEPT + 5):
        death_record.report(folder, death("m", "00"))
    assert len(death_record.last(folder)) == death_record.KEPT
    assert death_record.counts(folder) == {("m", "1.0", "signal"): death_record.KEPT + 5}


def test_deaths_add_up(tmp_path: Any) -> None:
    """An input whose batch ended with its worker each time."""
    for refused_now in (False, True):
        death_record.blame(str(tmp_path), death("m", "00"), 1)
        [entry] = quarantine.entries(str(tmp_path))
        assert entry.refused == refused_now


def test_a_keeper_that_stands_still_holds_up_no_other(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with shared_file.changed(str(tmp_path / death_record.NAME)):
        started = time.monotonic()
        death_record.report(str(tmp_path), death("m", "00"))
        assert time.monotonic() - started < shared_file.PATIENCE + 1
    assert "a death is not recorded: another process has held the lock" in capsys.readouterr().err


def test_parts_that_were_sent_several_times() -> None:
    """The same bytes as the keeper reads from the message."""
    every = [b"1", b"2"]
    parts = [("z", b"4"), ("a", b"1"), ("body", b"3"), ("accept", b"*/*"), ("a", b"2")]
    values = {"a": iter([every[0], every])}
    parameters = [{"name": name, "value": next(values[name]) if name in values else value} for name, value in parts]
    assert refusal.input_of(parameters) == [b"1", b"2", b"3", b"4"]
    progress, request = SharedProgress(), b"I" + field(b"id") + END
    message = request + b"".join(field(name.encode()) + field(b"") + field(value) for name, value in parts) + END + END
    os.ftruncate(progress.file, HEADER + len(message))
    os.pwrite(progress.file, message, HEADER)
    assert progress.held([0]) == [Held("id", sha256(b"1234").hexdigest(), 4)]


def test_no_digest_is_computed_of_an_input_of_another_length(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a caller who fills the list does not slow others down."""
    death_record.blame(str(tmp_path), death("m", sha256(b"bad").hexdigest()), 2)
    found = Quarantine(str(tmp_path / quarantine.NAME), "m", "1.0")
    batch = [{"parameters": [{"name": "body", "value": value}]} for value in (b"good morning", b"bad", b"god")]
    digests: list[Any] = []
    real = refusal.digest_of

    def digest_of(values: Sequence[bytes]) -> str:
        digests.append(values)
        return real(values)

    monkeypatch.setattr(refusal, "digest_of", digest_of)
    assert list(found.find(batch)) == [1]
    assert digests == [[b"bad"], [b"god"]]
    assert json.loads((tmp_path / quarantine.NAME).read_text())["inputs"][0]["bytes"] == 3
