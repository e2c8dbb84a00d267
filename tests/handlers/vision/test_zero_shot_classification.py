"""Zero-shot image classification: the probabilities of transformers' own pipeline, for labels that requests bring."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import torch
from transformers import pipeline

from archiver.verification.verify import verify
from handlers.acceleration.equivalence import by_norm
from handlers.acceleration.precision import in_fastest_precision
from handlers.errors import InvalidInput, RequestError, TooLarge
from handlers.loader import load_model
from handlers.vision.huggingface.label_sets import LabelSets, read_labels, read_template
from tests import tiny_vision
from tests.handlers.vision.served import BROKEN, ROWS, check_isolation, packed, served
from tests.handlers.worker import Worker
from tests.inputs import IMAGES
from train.core.config import ExperimentError

TASK: Final = "zero-shot-image-classification"
SETS = [
    ["a cat", "a dog"],
    ["temple", "flower", "a long street with many red cars"],
    ["x", "Zürich 🚉"],
]


@pytest.fixture(scope="module", params=["clip", "siglip"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Worker, Any]:
    """(worker, transformers' pipeline); of CLIP the worker runs its graph."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("zero") / request.param
    backend = "onnxruntime" if request.param == "clip" else "torch"
    worker = served(tiny_vision.artifact(request.param, TASK, folder), backend=backend, options={"label_sets": 3})
    return worker, pipeline(TASK, model=str(folder.with_name(f"{request.param}-source")))


def row(index: int, labels: Sequence[str], **parameters: Any) -> dict[str, Any]:
    body = {"image": base64.b64encode(ROWS[index]["body"]).decode(), "labels": labels, **parameters}
    return {"body": json.dumps(body).encode(), "content-type": b"application/json"}


def probabilities(answer: dict[str, Any]) -> dict[str, float]:
    return {each["label"]: each["probability"] for each in answer["predictions"]}


def test_the_probabilities_of_the_pipeline(model: tuple[Worker, Any]) -> None:
    worker, classify = model
    rows = [row(index, labels) for index, labels in enumerate(SETS)]
    for image, labels, answer in zip(IMAGES, SETS, worker.json(*rows), strict=True):
        expected = {each["label"]: each["score"] for each in classify(image, candidate_labels=labels)}
        assert probabilities(answer) == pytest.approx(expected, abs=1e-3)
        ranked = [each["probability"] for each in answer["predictions"]]
        assert ranked == sorted(ranked, reverse=True)
        assert all(labels[each["index"]] == each["label"] for each in answer["predictions"])
    template = "{} in the style of {0.__class__}"  # the second is no place for anything
    [answer] = worker.json(row(0, SETS[0], template=template, top_k=1))
    written = [template.replace("{}", label) for label in SETS[0]]
    scores = {each["label"]: each["score"] for each in classify(IMAGES[0], written, hypothesis_template="{}")}
    assert [*probabilities(answer).values()] == pytest.approx([max(scores.values())], abs=1e-3)


def test_labels_in_other_forms_of_a_request(model: tuple[Worker, Any]) -> None:
    worker, _ = model
    [expected] = worker.json(row(0, ["a cat", "a dog"]))
    for value in (b"a cat, a dog", b'["a cat", "a dog"]'):
        assert worker.json({**ROWS[0], "labels": value}) == [expected]
    instances = {"instances": [{"image": orjson.loads(row(0, [])["body"])["image"]}], "parameters": {"labels": SETS[0]}}
    body = {"body": json.dumps(instances).encode(), "content-type": b"application/json"}
    [answer] = worker.json(body)
    assert answer["predictions"] == [expected]


def test_a_batch_equals_its_items_alone(model: tuple[Worker, Any]) -> None:
    labels = (b"a,b", b"c,d,e", b"a,b")
    check_isolation(model[0], [{**row, "labels": of} for row, of in zip(ROWS, labels, strict=True)])


def test_texts_are_read_once_and_few_sets_are_kept(model: tuple[Worker, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    worker, _ = model
    read: list[int] = []
    texts = worker.handler.text_features

    def counted(tokens: list[list[int]]) -> Any:
        read.append(len(tokens))
        return texts(tokens)

    monkeypatch.setattr(worker.handler, "text_features", counted)
    first = worker.json({**ROWS[0], "labels": b"one,two"}, {**ROWS[1], "labels": b"one,two"})
    assert read == [2]
    assert worker.json({**ROWS[0], "labels": b"one,two"}, {**ROWS[1], "labels": b"one,two"}) == first
    assert read == [2]
    for number in range(5):
        worker.json({**ROWS[0], "labels": f"{number},x,y".encode()})
    assert len(worker.handler.label_sets.known) == 3
    assert worker.json({**ROWS[0], "labels": b"one,two"})[0] == first[0]
    assert read == [2, *[3] * 5, 2]


@pytest.mark.parametrize(
    ("parameters", "status", "said"),
    [
        ({}, 422, "labels: missing"),
        ({"labels": []}, 422, "the list is empty"),
        ({"labels": [f"{n}" for n in range(101)]}, 413, "labels: got 101, the limit is 100"),
        ({"labels": ["a", "x" * 201]}, 413, "labels[1] has 201 characters, the limit is 200"),
        ({"labels": ["a", "x" * 90]}, 413, "labels[1] has "),
        ({"labels": ["a", " "]}, 422, "labels[1] is empty"),
        ({"labels": ["a", 3]}, 422, "labels[1]: got 3, wanted text"),
        ({"labels": ["a", ["b"]]}, 422, "labels[1]: got a list, wanted text"),
        ({"labels": {"a": 1}}, 422, "labels: got an object, wanted a list of texts"),
        ({"labels": True}, 422, "labels: got true, wanted a list of texts"),
        ({"labels": "[1, 2"}, 422, "labels: not a JSON list"),
        ({"labels": ["a", "b", " a "]}, 422, 'labels: "a" is there twice'),
        ({"labels": ["a", "b"], "template": "a photo"}, 422, "wanted a text with {} once"),
        ({"labels": ["a", "b"], "template": "{} and {}"}, 422, "wanted a text with {} once"),
        ({"labels": ["a", "b"], "template": 7}, 422, "template: got 7, wanted text"),
        ({"labels": ["a", "b"], "top_k": 3}, 422, "top_k: got 3, wanted 1 to 2"),
        ({"labels": ["a", "b"], "candidates": 3}, 422, '"candidates": not a parameter'),
    ],
)
def test_what_is_refused(model: tuple[Worker, Any], parameters: dict[str, Any], status: int, said: str) -> None:
    worker, _ = model
    good = {**ROWS[1], "labels": b"a,b"}
    body = {"image": base64.b64encode(ROWS[0]["body"]).decode(), **parameters}
    bad = {"body": json.dumps(body).encode(), "content-type": b"application/json"}
    (one, _, _), (code, _, error), (two, _, _) = worker.answer([good, bad, good])
    assert (one, code, two) == (200, status, 200)
    found = orjson.loads(error)
    assert found.keys() == {"code", "type", "message"}
    assert said in found["message"]
    assert worker.answer([{**BROKEN, "labels": b"a,b"}])[0][0] == 400


def test_labels_of_the_spec(tmp_path: Path) -> None:
    artifact = tiny_vision.artifact("clip", TASK, tmp_path / "c")
    worker = served(artifact, labels=["a temple", "a flower", "a street"], options={"template": "{}!"})
    [own] = worker.json(ROWS[0])
    [sent] = worker.json({**ROWS[0], "labels": b"a temple,a flower,a street"})
    assert own == sent
    assert probabilities(own).keys() == {"a temple", "a flower", "a street"}
    assert worker.handler.template == "{}!"
    assert verify(packed(artifact, labels=["a temple", "a flower"])).load_s > 0  # its sample brings other labels
    with pytest.raises(TooLarge, match="labels: got 3, the limit is 2"):
        served(artifact, labels=["a", "b", "c"], limits={"max_labels": 2})


def test_labels_of_the_experiment(tmp_path: Path) -> None:
    artifact = tiny_vision.artifact("siglip", TASK, tmp_path / "s", labels=["temple", "flower"])
    described = json.loads((artifact / "artifact.json").read_text())
    assert (described["labels"], described["sample"]) == (["temple", "flower"], "sample.jpg")
    with pytest.raises(ExperimentError, match="labels: cannot be set for image-embedding"):
        tiny_vision.artifact("siglip", "image-embedding", tmp_path / "e", labels=["a", "b"])


def test_a_model_that_reads_no_texts(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="has no tokenizer"):
        tiny_vision.artifact("dinov2", TASK, tmp_path / "d")


def test_a_set_is_forgotten_when_others_were_asked_for_later() -> None:
    asked: list[Sequence[str]] = []

    def tokenise(texts: Sequence[str]) -> list[list[int]]:
        asked.append(texts)
        return [[1] * len(text) for text in texts]

    sets = LabelSets(tokenise, max_tokens=8, size=2)
    first = sets.get(("a",), "{}.")
    sets.get(("b",), "{}.")
    assert sets.get(("a",), "{}.") is first  # asked for again, it is the newest
    sets.get(("c",), "{}.")
    assert sets.get(("a",), "{}.") is first
    sets.get(("b",), "{}.")
    assert asked == [["a."], ["b."], ["c."], ["b."]]
    with pytest.raises(TooLarge):
        sets.get(("a" * 9,), "{}")
    assert len(sets.known) == 2


@pytest.mark.parametrize("value", ["", "   ", ",", "[]", "a,,b", None, 1.5, [None], [""], [b"a"]])
def test_no_labels(value: Any) -> None:
    with pytest.raises(InvalidInput):
        read_labels(value, 10, 10)


def test_a_template_is_not_a_format() -> None:
    assert read_template(" {0} {} {x.y} ", 50) == "{0} {} {x.y}"
    for wrong in ("", "{", "{0}", None, "x" * 60):
        with pytest.raises(RequestError):
            read_template(wrong, 50)


@torch.inference_mode()
def test_labels_are_read_after_the_images_tower_was_rounded(tmp_path: Path) -> None:
    """As on a GPU, where the tower of the images runs in half precision and that of the texts as it is."""
    worker = served(tiny_vision.artifact("clip", TASK, tmp_path / "clip"), backend="torch")
    handler = worker.handler
    rows = [row(index, labels) for index, labels in enumerate(SETS)]
    wanted = [probabilities(answer) for answer in worker.json(*rows)]
    with torch.inference_mode(mode=False), torch.no_grad():
        handler.towers = load_model(handler.artifact, handler.device)  # on a CPU one of them has gone
        fast = in_fastest_precision(handler.build(), handler.transform.example(), by_norm)
    assert fast.form.startswith("float16")
    handler.forward = fast
    handler.label_sets = LabelSets(handler.tokenise, handler.max_tokens, 3)
    for answer, expected in zip(worker.json(*rows), wanted, strict=True):
        assert probabilities(answer) == pytest.approx(expected, abs=0.005)
