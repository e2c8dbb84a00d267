"""Texts padded to the few lengths that have graphs on a GPU, with the model itself in the graphs' place."""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
import torch

from handlers.batching.length_buckets import bucket_ends, length_buckets
from handlers.networks.encoder import NOTHING
from tests.handlers.worker import Worker
from tests.tiny_texts import LINES

NAMES = ["tiny-text", "tiny-topics", "tiny-embedding", "tiny-entities", "tiny-answers"]
TEXTS = [LINES[0], "Ja", " ".join(LINES * 4)[:450], LINES[3], "Marie"]


def row(**fields: Any) -> dict[str, Any]:
    return {"body": orjson.dumps(fields), "content-type": b"application/json"}


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [number for each in value.values() for number in numbers(each)]
    if isinstance(value, list):
        return [number for each in value for number in numbers(each)]
    return [value] if isinstance(value, float) else []


def test_the_ends_of_buckets_are_those_texts_are_grouped_by() -> None:
    assert bucket_ends(512) == [16, 32, 64, 128, 256, 512]
    assert bucket_ends(100) == [16, 32, 64, 100]
    assert bucket_ends(16) == [16]
    assert bucket_ends(10) == [10]
    for longest in (10, 100, 512):
        lengths = range(1, longest + 1)
        ends = bucket_ends(longest)
        grouped = length_buckets(lengths)
        assert [max(lengths[index] for index in bucket) for bucket in grouped] == ends


@pytest.mark.parametrize("name", NAMES)
def test_padding_to_the_end_of_a_bucket_changes_no_answer(
    load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    worker = load(name)
    handler = worker.handler
    question = {"question": "Who was born there?"} if name == "tiny-answers" else {}
    rows = [row(**{"context" if question else "text": text}, **question) for text in TEXTS]
    wanted = worker.json(*rows)
    ends = bucket_ends(handler.max_length)
    seen = set()
    forward = handler.forward

    def spy(tokens: torch.Tensor) -> Any:
        seen.add(tokens.shape[2])
        return forward(tokens)

    monkeypatch.setattr(handler, "lengths", ends)
    monkeypatch.setattr(handler, "forward", spy)
    for answer, expected in zip(worker.json(*rows), wanted, strict=True):
        np.testing.assert_allclose(numbers(answer), numbers(expected), atol=1e-5)
        assert answer.keys() == expected.keys()
    assert seen <= set(ends)
    assert len(seen) > 1


@pytest.mark.parametrize("name", NAMES)
def test_a_worker_tries_its_model_with_the_sample(
    load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    handler = load(name).handler
    monkeypatch.setattr(handler, "lengths", bucket_ends(handler.max_length))
    tokens = handler.sample_tokens()
    assert tokens.shape[:2] == handler.example().shape[:2]
    assert tokens.shape[2] in handler.lengths
    there = tokens[0, 0] != NOTHING
    sample = handler.artifact.sample.read_text()
    said = handler.tokenizer.decode(tokens[0, 0][there], skip_special_tokens=True)
    assert said
    assert said[:10].replace(" ", "").lower() in sample.replace(" ", "").lower()
    outputs = handler.build()(tokens)
    assert handler.judge(outputs, outputs) == ""
    assert handler.judge([output * 1.5 + 0.1 for output in outputs], outputs)
