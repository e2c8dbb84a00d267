"""Explanations of texts, compared with Captum called by hand on transformers' own model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from captum.attr import LayerIntegratedGradients
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from archiver.verification.explanation_schemas import check
from tests.handlers.worker import Worker

TEXT = "The train to the coast leaves at nine, and the café opens at ten."


@pytest.fixture(scope="module")
def worker(explainer: Callable[[str], Worker]) -> Worker:
    return explainer("tiny-topics")


@pytest.fixture(scope="module")
def pipeline(worker: Worker) -> tuple[Any, Any]:
    folder = worker.handler.artifact.weights
    return AutoTokenizer.from_pretrained(folder), AutoModelForSequenceClassification.from_pretrained(folder).eval()


def ask(worker: Worker, text: str = TEXT, **parameters: object) -> dict[str, Any]:
    [answer] = worker.json({"body": text.encode(), **{name: str(value).encode() for name, value in parameters.items()}})
    assert not check("text-classification", answer, worker.handler.labels, "the answer")
    return answer


def test_layer_integrated_gradients_are_captums(worker: Worker, pipeline: tuple[Any, Any]) -> None:
    tokenizer, model = pipeline
    encoded = tokenizer(TEXT, return_tensors="pt", return_special_tokens_mask=True)
    ids, special = encoded["input_ids"], encoded["special_tokens_mask"].bool()
    baseline = torch.where(special, ids, tokenizer.pad_token_id)
    mask = torch.ones_like(ids)

    def forward(tokens: torch.Tensor) -> torch.Tensor:
        return model(input_ids=tokens, attention_mask=mask.expand(len(tokens), -1)).logits

    expected, delta = LayerIntegratedGradients(forward, model.get_input_embeddings()).attribute(
        ids, baseline, target=1, n_steps=30, return_convergence_delta=True
    )
    found = ask(worker, target=1, n_steps=30)
    weights = [token["weight"] for token in found["attributions"]]
    np.testing.assert_allclose(weights, expected[0].sum(dim=-1)[~special[0]].detach(), rtol=1e-4, atol=1e-5)
    assert found["completeness"]["delta"] == pytest.approx(float(delta), abs=1e-4)
    assert found["completeness"]["holds"]


def test_occlusion_leaves_out_token_after_token(worker: Worker, pipeline: tuple[Any, Any]) -> None:
    tokenizer, model = pipeline
    ids = tokenizer(TEXT)["input_ids"]
    found = ask(worker, method="occlusion", target=0, baseline="mask")
    rows = [ids] + [[*ids[:i], tokenizer.mask_token_id, *ids[i + 1 :]] for i in range(1, len(ids) - 1)]
    with torch.no_grad():
        scores = model(torch.tensor(rows)).logits[:, 0]
    weights = [token["weight"] for token in found["attributions"]]
    np.testing.assert_allclose(weights, scores[0] - scores[1:], rtol=1e-4, atol=1e-5)


def test_tokens_stand_where_the_text_has_them(worker: Worker) -> None:
    tokens = ask(worker, n_steps=2)["attributions"]
    assert all(token["text"] == TEXT[token["start"] : token["end"]] for token in tokens)
    assert "".join(token["text"] for token in tokens) == "".join(TEXT.split())


def test_a_tokenizer_that_does_not_say_where_its_tokens_stand(explainer: Callable[[str], Worker]) -> None:
    found = ask(explainer("tiny-text"), "Où est", n_steps=2)
    assert {(token["start"], token["end"]) for token in found["attributions"]} == {(None, None)}
    assert "".join(token["text"] for token in found["attributions"][3:]) == " est"


def test_a_long_text_is_cut_as_for_a_prediction(worker: Worker) -> None:
    found = ask(worker, "train " * 400, n_steps=2)
    assert found["truncated"]
    assert len(found["attributions"]) < worker.handler.task.max_length


def test_a_batch_is_its_items_and_a_bad_one_fails_alone(worker: Worker) -> None:
    rows = [{"body": text.encode(), "n_steps": b"5"} for text in (TEXT, "Short.", "Another one")]
    alone = [worker.json(row)[0] for row in rows]
    answers = worker.answer([rows[0], {"body": b" "}, *rows[1:]])
    assert answers.pop(1)[0] == 422
    assert [orjson.loads(body) for _, _, body in answers] == alone


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": b"grad-cam"}, 'method: got "grad-cam", wanted one of integrated-gradients, occlusion'),
        ({"n_steps": b"0"}, "n_steps: got 0, wanted 1 to 500"),
        ({"target": b"nothing"}, 'target: got "nothing", wanted a label of the model'),
        ({"baseline": b"zero"}, 'baseline: got "zero", wanted one of pad, mask, unknown'),
    ],
)
def test_limits_and_bad_parameters_are_answered_with_422(
    worker: Worker, parameters: dict[str, bytes], message: str
) -> None:
    [(status, _, body)] = worker.answer([{"body": TEXT.encode(), **parameters}])
    assert status == 422
    assert orjson.loads(body)["message"].startswith(message)
