"""The guarantees of the base class, on the smallest model there is: a policy."""

import gc
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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


def test_a_rest_answer_says_how_long_its_batch_took(worker: Worker) -> None:
    worker.answer([GOOD, GOOD], [{"content-length": "5"}, {}])
    rest, rpc = (worker.context.get_response_headers(index) for index in range(2))
    stages = [part.split(";dur=") for part in rest["Server-Timing"].split(", ")]
    assert [name for name, _ in stages] == ["decode", "inference", "encode"]
    assert all(0 <= float(milliseconds) < 10_000 for _, milliseconds in stages)
    assert "Server-Timing" not in rpc  # over gRPC nobody would see it


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


def test_one_bad_instance_fails_its_request_only_and_is_named(worker: Worker) -> None:
    tensor = b'{"inputs": [{"name": "o", "shape": [2, 4], "datatype": "FP32", "data": [1, 2, 0, 0, 1, null, 3, 0]}]}'
    rows = [{"body": b'{"instances": [[1, 2, 0, 0], [1, 2]]}'}, GOOD, {"body": tensor}]
    answers = worker.answer(rows)
    assert [answer[0] for answer in answers] == [422, 200, 422]
    first, _, third = (orjson.loads(body).get("message") for _, _, body in answers)
    assert first.startswith("instances[1]: the observation has shape [2]")
    assert third == "inputs[0].data[5]: got null, wanted a number for FP32"


def test_more_instances_than_the_limit(worker: Worker) -> None:
    [(status, _, body)] = worker.answer([{"body": orjson.dumps({"instances": [[0, 0, 0, 0]] * 257})}])
    assert (status, orjson.loads(body)["message"]) == (413, "257 instances in one request; the limit is 256")


def test_an_unknown_parameter_is_named(worker: Worker) -> None:
    [(status, _, body)] = worker.answer([{**GOOD, "sed": b"1", "stream": b"true"}])
    message = '"sed": not a parameter of this request; parameters here: deterministic, seed'
    assert (status, orjson.loads(body)["message"]) == (422, message)


def test_no_body_outlives_its_answer(worker: Worker) -> None:
    """Whether it was answered or refused: an error's frames would hold it until the garbage is collected."""
    bodies = [b"[0.1, 0.2, 0.3, 0.4]" + b" " * size for size in range(4)]
    bodies += [b"[" * 5000, b'{"data": [1, 2]}' + b" " * 9, b'{"instances": [[1, 2]]}' + b" " * 9]
    gc.disable()
    try:
        before = [sys.getrefcount(body) for body in bodies]
        worker.answer([{"body": body} for body in bodies])
        assert [sys.getrefcount(body) for body in bodies] == before
    finally:
        gc.enable()


@pytest.mark.parametrize("depth", [10, 40, 100, 900, 2000])
@pytest.mark.parametrize("value", ["%s", '{"data": %s}', '{"data": [0, 0, 0, 0], "seed": %s}', '{"instances": [%s]}'])
def test_nesting_is_the_sender_s_fault(
    worker: Worker, caplog: pytest.LogCaptureFixture, depth: int, value: str
) -> None:
    for opened, closed in (("[", "]"), ('{"data":', "}")):
        body = (value % (opened * depth + "0" + closed * depth)).encode()
        answers = worker.answer([{"body": body}, GOOD])
        assert answers[0][0] in (400, 413, 422)
        assert answers[1][0] == 200
        assert len(orjson.loads(answers[0][2])["message"]) <= 300
    assert not caplog.records


def test_describe_returns_the_model_card(worker: Worker) -> None:
    [(_, _, body)] = worker.answer([{}], [{"describe": "True"}])
    card = orjson.loads(body)
    assert card["task"] == "policy"
    assert card["runtime"]["device"] == "cpu"
    assert card["runtime"]["form"] == "ONNX Runtime"


@pytest.mark.parametrize("name", ["describe", "Describe", "DESCRIBE", "explain", "Explain", "customized"])
@pytest.mark.parametrize("value", ["True", "true", "1", ""])
@pytest.mark.parametrize("row", [{}, BAD, GOOD], ids=["empty", "bad", "good"])
@pytest.mark.parametrize("position", [0, 2])
def test_no_header_decides_for_its_neighbours(
    worker: Worker, name: str, value: str, row: dict[str, bytes], position: int
) -> None:
    """TorchServe's management asks for the card so, in a batch with whatever waits beside it."""
    headers: list[dict[str, str]] = [{}, {}, {}]
    headers[position] = {name: value}
    rows = [GOOD, GOOD, GOOD]
    rows[position] = row
    answers = worker.answer(rows, headers)
    asked = answers.pop(position)
    [alone] = worker.answer([GOOD])
    assert answers == [alone, alone]
    describes = (name, value, row) == ("describe", "True", {})
    assert (asked[0], "task" in orjson.loads(asked[2])) == (200, True) if describes else "task" not in asked[2].decode()


def test_a_describe_header_on_a_prediction_is_ignored(worker: Worker) -> None:
    answers = worker.answer([GOOD, GOOD], [{"describe": "True"}, {}])
    assert [set(orjson.loads(body)) >= {"action"} for _, _, body in answers] == [True, True]


def test_explanations_are_refused_one_by_one(worker: Worker) -> None:
    answers = worker.answer([GOOD, GOOD], [{"explain": "True"}, {}])
    assert [answer[0] for answer in answers] == [501, 200]


def test_a_mark_of_streams_that_is_there_twice_hurts_nobody_else(worker: Worker) -> None:
    answers = worker.answer([{**GOOD, "stream": [b"true", b"false"]}, GOOD])
    assert [status for status, _, _ in answers] == [400, 200]


def test_an_answer_that_nobody_takes_is_not_computed(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    predicted: list[int] = []
    predict = worker.handler.predict

    def counted(items: Sequence[Any]) -> Sequence[Any]:
        predicted.append(len(items))
        return predict(items)

    monkeypatch.setattr(worker.handler, "predict", counted)
    answers = worker.answer([GOOD, GOOD, GOOD], [{"accept": "text/html"}, {}, {"accept": "audio/*;q=0.5"}])
    assert [status for status, _, _ in answers] == [406, 200, 406]
    assert predicted == [1]


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
