"""The guarantees of the base class, on the smallest model there is: a policy."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.handlers.worker import Worker

GOOD = {"body": b"[0.1, 0.2, 0.3, 0.4]"}
BAD = {"body": b"[0.1, 0.2]"}


@pytest.fixture(scope="module")
def worker(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Worker:
    return Worker(tiny_archive("tiny-policy"), tmp_path_factory.mktemp("policy"))


def test_exactly_the_broken_item_fails(worker: Worker) -> None:
    alone = worker.answer([GOOD])[0]
    for position in range(4):
        rows = [GOOD] * 4
        rows[position] = BAD
        answers = worker.answer(rows)
        status, content_type, body = answers.pop(position)
        assert (status, content_type) == (422, "application/json")
        assert orjson.loads(body) == {
            "code": 422,
            "type": "InvalidInput",
            "message": "the observation has shape [2]; wanted [4], or [N, 4] for several",
        }
        assert [answer[0] for answer in answers] == [200] * 3
        for _, _, neighbour in answers:
            assert orjson.loads(neighbour)["value"] == pytest.approx(orjson.loads(alone[2])["value"], abs=1e-6)


def test_a_phrase_never_holds_a_line_break(worker: Worker) -> None:
    worker.answer([{"body": b"[1,\r\n\r\n"}])
    assert worker.context.get_response_status(0) == (400, "Bad Request")


def test_kserve_v1_wraps_the_answers(worker: Worker) -> None:
    [single] = worker.json(GOOD)
    [wrapped] = worker.json({"body": b'{"instances": [[0.1, 0.2, 0.3, 0.4], {"data": [0.1, 0.2, 0.3, 0.4]}]}'})
    assert [prediction["action"] for prediction in wrapped["predictions"]] == [single["action"]] * 2


def test_kserve_v2_wraps_the_answers(worker: Worker) -> None:
    tensor = {"name": "observation", "shape": [2, 4], "datatype": "FP32", "data": [0.1, 0.2, 0.3, 0.4] * 2}
    [answer] = worker.json({"body": orjson.dumps({"id": "abc", "inputs": [tensor]})})
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("abc", "tiny-policy", "1.0")
    [output] = answer["outputs"]
    assert output["shape"] == [2]
    assert set(orjson.loads(output["data"][0])) == {"action", "label", "probabilities", "value"}


def test_one_bad_instance_fails_its_request_only(worker: Worker) -> None:
    answers = worker.answer([{"body": b'{"instances": [[1, 2, 3, 0], [1, 2]]}'}, GOOD])
    assert [answer[0] for answer in answers] == [422, 200]


def test_describe_returns_the_model_card(worker: Worker) -> None:
    [(_, _, body)] = worker.answer([{}], [{"describe": "True"}])
    card = orjson.loads(body)
    assert card["task"] == "policy"
    assert card["runtime"]["device"] == "cpu"


def test_a_describe_header_on_a_prediction_is_ignored(worker: Worker) -> None:
    answers = worker.answer([GOOD, GOOD], [{"describe": "True"}, {}])
    assert [set(orjson.loads(body)) >= {"action"} for _, _, body in answers] == [True, True]


def test_explanations_are_refused_one_by_one(worker: Worker) -> None:
    answers = worker.answer([GOOD, GOOD], [{"explain": "True"}, {}])
    assert [answer[0] for answer in answers] == [501, 200]


def test_accept_is_honoured_per_item(worker: Worker) -> None:
    answers = worker.answer([GOOD, GOOD], [{"Accept": "image/png"}, {"accept": "*/*"}])
    assert [answer[0] for answer in answers] == [406, 200]


def test_a_sample_the_model_cannot_answer_fails_the_load(tiny_archive: Callable[[str], Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mar"
    with zipfile.ZipFile(tiny_archive("tiny-policy")) as source, zipfile.ZipFile(broken, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"[1]" if name.startswith("artifact/sample") else source.read(name))
    with pytest.raises(Exception, match="wanted \\[4\\]"):
        Worker(broken, tmp_path / "unpacked")


@pytest.mark.parametrize(("sent", "logged"), [("abc-1", "abc-1"), ("two\nlines", "-"), ("", "-")])
def test_a_failure_is_logged_with_its_request_s_id(
    worker: Worker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, sent: str, logged: str
) -> None:
    def broken(items: object) -> list[object]:
        raise ValueError("the model is broken")

    monkeypatch.setattr(worker.handler, "predict", broken)
    [(status, _, body)] = worker.answer([GOOD], [{"X-Request-Id": sent}])
    assert (status, orjson.loads(body)["type"]) == (500, "InternalError")
    assert f"request {logged} is answered with 500" in caplog.text
