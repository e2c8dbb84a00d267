"""Text classification: the same answers as the model called in Python, alone and in a batch."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.handlers.worker import Worker
from tests.inputs import TEXTS


@torch.inference_mode()
def test_texts_equal_the_model_alone_and_padded(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-text")
    folder = worker.handler.artifact.weights
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
    batch = worker.json(*({"body": text.encode()} for text in TEXTS))
    for text, answer in zip(TEXTS, batch, strict=True):
        expected = model(**tokenizer(text, return_tensors="pt")).logits.softmax(1)[0].numpy()
        by_label = {p["label"]: p["probability"] for p in answer["predictions"]}
        np.testing.assert_allclose([by_label[label] for label in ("de", "en", "fr")], expected, atol=1e-5)
        assert "truncated" not in answer


def test_a_long_text_says_that_it_was_cut(load: Callable[[str], Worker]) -> None:
    [answer] = load("tiny-text").json({"body": b"word " * 40})
    assert answer["truncated"] is True


@pytest.mark.parametrize(
    ("body", "status"),
    [(b" \n\t ", 422), (b"x" * 501, 413), (b"\xff\xfe\x00", 400), (b"\x00", 200), ("🙂".encode() * 100, 200)],
)
def test_odd_texts(load: Callable[[str], Worker], body: bytes, status: int) -> None:
    answers = load("tiny-text").answer([{"body": body}, {"body": b"fine"}])
    assert [answer[0] for answer in answers] == [status, 200]
