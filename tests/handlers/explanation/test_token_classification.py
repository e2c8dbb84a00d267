"""Explanations of entities and tokens, compared with Captum called by hand on transformers' own model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from captum.attr import LayerIntegratedGradients
from transformers import AutoModelForTokenClassification, AutoTokenizer

from archiver.verification.explanation_schemas import check
from tests.handlers.worker import Worker
from tests.tiny_texts import LINES

TEXT = LINES[1]


@pytest.fixture(scope="module")
def worker(explainer: Callable[[str], Worker]) -> Worker:
    return explainer("tiny-entities")


@pytest.fixture(scope="module")
def entities(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The prediction's answer."""
    predictor = Worker(tiny_archive("tiny-entities"), tmp_path_factory.mktemp("predictor"))
    found: list[dict[str, Any]] = predictor.json({"body": TEXT.encode()})[0]["entities"]
    assert len(found) > 1
    return found


def ask(worker: Worker, text: str = TEXT, **parameters: object) -> dict[str, Any]:
    [answer] = worker.json({"body": text.encode(), **{name: str(value).encode() for name, value in parameters.items()}})
    assert not check("token-classification", answer, worker.handler.labels, "the answer")
    return answer


class ByHand:
    """transformers' model and Captum. positions, classes: whose mean logit is explained."""

    def __init__(self, worker: Worker) -> None:
        folder = worker.handler.artifact.weights
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForTokenClassification.from_pretrained(folder).eval()
        self.encoded = self.tokenizer(TEXT, return_tensors="pt", return_offsets_mapping=True)
        self.ids = self.encoded["input_ids"]
        self.special = torch.tensor(
            [self.tokenizer.get_special_tokens_mask(self.ids[0].tolist(), already_has_special_tokens=True)]
        ).bool()

    def score(self, ids: torch.Tensor, positions: list[int], classes: list[int]) -> torch.Tensor:
        logits = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        return torch.stack([logits[:, p, c] for p, c in zip(positions, classes, strict=True)]).mean(dim=0)

    def weights(self, positions: list[int], classes: list[int], steps: int) -> tuple[np.ndarray, float]:
        baseline = torch.where(self.special, self.ids, self.tokenizer.pad_token_id)
        method = LayerIntegratedGradients(
            lambda ids: self.score(ids, positions, classes), self.model.get_input_embeddings()
        )
        found, delta = method.attribute(self.ids, baseline, n_steps=steps, return_convergence_delta=True)
        return found[0].sum(dim=-1)[~self.special[0]].detach().numpy(), float(delta)

    def predicted(self, positions: list[int]) -> list[int]:
        with torch.no_grad():
            classes: list[int] = self.model(input_ids=self.ids).logits[0, positions].argmax(dim=1).tolist()
        return classes

    def within(self, start: int, end: int) -> list[int]:
        """Positions of the tokens in a part of the text."""
        offsets = self.encoded["offset_mapping"][0].tolist()
        return [i for i, (a, b) in enumerate(offsets) if a >= start and b <= end and not self.special[0, i]]


@pytest.fixture(scope="module")
def by_hand(worker: Worker) -> ByHand:
    return ByHand(worker)


@pytest.mark.parametrize("place", [0, 1])
def test_an_entitys_score_is_the_mean_of_its_tokens(
    place: int, worker: Worker, entities: list[dict[str, Any]], by_hand: ByHand
) -> None:
    found = ask(worker, entity=place, n_steps=30)
    span = entities[place]["start"], entities[place]["end"]
    assert found["entity"] == {"index": place, "start": span[0], "end": span[1]}
    positions = by_hand.within(*span)
    classes = by_hand.predicted(positions)
    weights, delta = by_hand.weights(positions, classes, 30)
    np.testing.assert_allclose([each["weight"] for each in found["attributions"]], weights, rtol=1e-4, atol=1e-5)
    assert found["completeness"]["delta"] == pytest.approx(delta, abs=1e-4)
    with torch.no_grad():
        score = float(by_hand.score(by_hand.ids, positions, classes))
    assert found["target"]["score"] == pytest.approx(score, abs=1e-4)
    assert found["target"]["label"].endswith(entities[place]["label"])


def test_the_first_entity_is_the_default(worker: Worker) -> None:
    assert ask(worker, n_steps=5) == ask(worker, n_steps=5, entity=0)


def test_a_tokens_class_that_is_asked_for(worker: Worker, by_hand: ByHand) -> None:
    found = ask(worker, token=3, target="B-LOC", n_steps=30)
    position = int((~by_hand.special[0]).nonzero()[3])
    weights, _ = by_hand.weights([position], [worker.handler.labels.index("B-LOC")], 30)
    np.testing.assert_allclose([each["weight"] for each in found["attributions"]], weights, rtol=1e-4, atol=1e-5)
    token = found["attributions"][3]
    assert found["token"] == {"index": 3, "start": token["start"], "end": token["end"]}


def test_the_attributions_are_complete(worker: Worker) -> None:
    found = ask(worker, token=2)
    assert found["completeness"]["holds"]
    complete = found["completeness"]
    assert complete["sum"] == pytest.approx(complete["score"] - complete["baseline"], abs=abs(complete["delta"]) + 1e-4)


def test_occlusion_leaves_out_token_after_token(worker: Worker, by_hand: ByHand) -> None:
    found = ask(worker, token=0, target=1, method="occlusion", baseline="mask")
    ids, mask = by_hand.ids[0].tolist(), by_hand.tokenizer.mask_token_id
    rows = [ids, *([*ids[:i], mask, *ids[i + 1 :]] for i in range(1, len(ids) - 1))]
    with torch.no_grad():
        scores = by_hand.model(torch.tensor(rows)).logits[:, 1, 1].numpy()
    weights = [each["weight"] for each in found["attributions"]]
    np.testing.assert_allclose(weights, scores[0] - scores[1:], rtol=1e-4, atol=1e-5)


def test_a_text_without_entities_is_asked_for_a_token(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.handler.task, "labels", ["O"] * 5)
    monkeypatch.setattr(worker.handler, "labels", ["O"] * 5)
    [(status, _, body)] = worker.answer([{"body": TEXT.encode()}])
    assert status == 422
    assert orjson.loads(body)["message"] == "entity: got 0; the model finds no entity; choose a token instead"
    worker.handler.warm_up()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"entity": b"99"}, "entity: got 99, wanted 0 to"),
        ({"token": b"-1"}, "token: got -1, wanted 0 to"),
        ({"token": b"x"}, 'token: got "x", wanted a'),
        ({"token": b"1", "entity": b"1"}, "entity and token: got both, wanted one of them"),
        ({"target": b"B-NOTHING"}, 'target: got "B-NOTHING", wanted a label of the model'),
        ({"method": b"saliency"}, 'method: got "saliency", wanted one of integrated-gradients, occlusion'),
    ],
)
def test_bad_parameters_fail_alone(worker: Worker, parameters: dict[str, bytes], message: str) -> None:
    row = {"body": TEXT.encode(), "n_steps": b"3"}
    [alone] = worker.json(row)
    answers = worker.answer([row, {"body": TEXT.encode(), **parameters}, row])
    assert [status for status, _, _ in answers] == [200, 422, 200]
    assert orjson.loads(answers[1][2])["message"].startswith(message)
    assert [orjson.loads(answers[index][2]) for index in (0, 2)] == [alone] * 2
