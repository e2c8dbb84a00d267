"""Texts of different lengths in one batch, what is cut of them, and the further tasks against their references."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Pooling, Transformer
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    pipeline,
)

from handlers.acceleration.onnx_runtime import OnnxGraph
from handlers.batching.length_buckets import length_buckets
from handlers.networks.encoder import NOTHING, Encoder
from handlers.text import encoder as text_encoder
from handlers.text.handler import TextInput
from tests.handlers.worker import Worker
from tests.tiny_texts import KINDS, LINES, TOPICS

LONG = " ".join(LINES * 4)
TEXTS = [LINES[0], "Ja", LONG, LINES[3], "Marie"]


def row(**fields: Any) -> dict[str, Any]:
    return {"body": orjson.dumps(fields), "content-type": b"application/json"}


def refusal(worker: Worker, **fields: Any) -> tuple[int, str]:
    """Status and message of a bad request, whose neighbour is answered."""
    fine = orjson.loads(worker.handler.artifact.sample.read_bytes())
    (status, _, body), (other, _, _) = worker.answer([row(**fields), row(**fine)])
    assert other == 200
    return status, orjson.loads(body)["message"]


def test_a_bucket_holds_like_lengths_and_all_of_them() -> None:
    lengths = [1, 500, 16, 17, 33, 32, 64, 300, 2]
    buckets = length_buckets(lengths)
    assert sorted(itertools.chain(*buckets)) == list(range(len(lengths)))
    for bucket in buckets:
        inside = [lengths[index] for index in bucket]
        assert max(inside) <= max(16, 2 * min(inside))
    assert length_buckets([]) == []


@pytest.mark.parametrize("name", ["tiny-text", "tiny-topics", "tiny-embedding", "tiny-entities"])
def test_a_text_is_answered_alike_alone_and_in_a_mixed_batch(load: Callable[[str], Worker], name: str) -> None:
    worker = load(name)
    texts = [text[:450] for text in TEXTS]
    together = worker.json(*(row(text=text) for text in texts))
    for text, answer in zip(texts, together, strict=True):
        [alone] = worker.json(row(text=text))
        np.testing.assert_allclose(numbers(answer), numbers(alone), atol=1e-5)
        assert answer.keys() == alone.keys()


def test_a_short_text_is_not_padded_to_a_long_one(
    load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = load("tiny-embedding")
    forward = worker.handler.forward
    shapes = []

    def spy(tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
        shapes.append(tuple(tokens.shape))
        found: tuple[torch.Tensor, ...] = forward(tokens)
        return found

    monkeypatch.setattr(worker.handler, "forward", spy)
    worker.json(*(row(text=text) for text in (LONG, "Ja", "Marie")))
    assert [shape[0] for shape in shapes] == [2, 1]
    assert shapes[0][2] <= 16
    assert shapes[1][2] == 64


@pytest.mark.parametrize("name", ["tiny-text", "tiny-topics", "tiny-embedding", "tiny-entities", "tiny-answers"])
def test_the_graph_and_the_model_of_longer_texts_that_has_none_answer_alike(
    load: Callable[[str], Worker],
    tiny_archive: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    graph = load(name)
    assert isinstance(graph.handler.forward, OnnxGraph)
    monkeypatch.setattr(text_encoder, "MAX_GRAPH_TOKENS", 32)
    eager = Worker(tiny_archive(name), tmp_path)
    assert isinstance(eager.handler.forward, Encoder)
    question = {"question": "Who was born there?"} if name == "tiny-answers" else {}
    field = "context" if question else "text"
    rows = [row(**{field: text[:450]}, **question) for text in TEXTS]
    for one, other in zip(graph.json(*rows), eager.json(*rows), strict=True):
        np.testing.assert_allclose(numbers(one), numbers(other), atol=1e-5)


def test_padding_stands_on_the_side_the_model_was_trained_with(
    load: Callable[[str], Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = load("tiny-entities").handler
    items = [TextInput(ids=[5, 6, 7], total=3), TextInput(ids=[8], total=1)]
    assert handler.padded(items).tolist() == [[[5, 6, 7]], [[8, NOTHING, NOTHING]]]
    monkeypatch.setattr(handler, "left", True)
    assert handler.padded(items).tolist() == [[[5, 6, 7]], [[NOTHING, NOTHING, 8]]]
    assert np.arange(3)[handler.place(items[1], 3)].tolist() == [2]


@pytest.mark.parametrize("name", ["tiny-topics", "tiny-embedding", "tiny-entities"])
def test_what_is_cut_is_told(load: Callable[[str], Worker], name: str) -> None:
    worker = load(name)
    whole, cut = worker.json(row(text="Marie Curie"), row(text=LONG))
    assert "truncated" not in whole
    sent = len(worker.handler.tokenizer(LONG)["input_ids"])
    assert (cut["truncated"], cut["tokens"]) == (True, {"read": 64, "sent": sent})


@pytest.mark.parametrize("name", ["tiny-topics", "tiny-embedding", "tiny-entities", "tiny-writer"])
@pytest.mark.parametrize(
    ("fields", "status"), [({"text": " \n"}, 422), ({"text": 5}, 422), ({"text": "x" * 100_001}, 413), ({}, 400)]
)
def test_bad_texts(load: Callable[[str], Worker], name: str, fields: dict[str, Any], status: int) -> None:
    assert refusal(load(name), **fields)[0] == status


@torch.inference_mode()
def test_every_class_that_applies(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-topics")
    model = AutoModelForSequenceClassification.from_pretrained(worker.handler.artifact.weights, local_files_only=True)
    for text in (*LINES, "Ja"):
        encoded = worker.handler.tokenizer(text, return_tensors="pt")
        expected = model(**encoded).logits.sigmoid()[0].numpy()
        for threshold in (0.0, 0.5, 0.9):
            [answer] = worker.json(row(text=text, threshold=threshold, top_k=2))
            order = np.argsort(-expected)
            assert [p["label"] for p in answer["predictions"]] == [TOPICS[i] for i in order[:2]]
            assert answer["labels"] == [TOPICS[i] for i in order if expected[i] >= threshold]
    assert "threshold" in refusal(worker, text="x", threshold=1.5)[1]


def test_an_embedding_equals_sentence_transformers(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-embedding")
    transformer = Transformer(str(worker.handler.artifact.weights), max_seq_length=64)
    pooling = Pooling(transformer.get_embedding_dimension(), "mean")
    reference = SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu")
    answers = worker.json(*(row(text=text) for text in TEXTS))
    np.testing.assert_allclose([a["embedding"] for a in answers], reference.encode(TEXTS), atol=1e-5)


def test_entities_equal_the_pipeline_of_transformers(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-entities")
    folder = worker.handler.artifact.weights
    reference: Any = pipeline(
        "token-classification",
        model=AutoModelForTokenClassification.from_pretrained(folder, local_files_only=True),
        tokenizer=AutoTokenizer.from_pretrained(folder, local_files_only=True),
        aggregation_strategy="simple",
    )
    found = 0
    texts = [*LINES, "  Curie  🚉 Zürich\n\nParis", LINES[1] * 2]
    for text, answer in zip(texts, worker.json(*(row(text=text) for text in texts)), strict=True):
        expected = [e for e in reference(text) if e["entity_group"] != "O"]
        assert [(e["label"], e["start"], e["end"]) for e in answer["entities"]] == [
            (e["entity_group"], e["start"], e["end"]) for e in expected
        ]
        np.testing.assert_allclose([e["score"] for e in answer["entities"]], [e["score"] for e in expected], atol=1e-5)
        assert all(text[e["start"] : e["end"]] == e["text"] for e in answer["entities"])
        found += len(expected)
    assert found > 10
    assert set(KINDS) > {"O"}


QUESTIONS = [("Where was she born?", LINES[1]), ("Who?", LINES[0]), ("Where is the station?", LINES[2])]


@torch.inference_mode()
def test_the_best_span_is_that_of_an_exhaustive_search(load: Callable[[str], Worker]) -> None:
    """Every pair of tokens of the context, scored one by one from the model's own logits."""
    worker = load("tiny-answers")
    folder = worker.handler.artifact.weights
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForQuestionAnswering.from_pretrained(folder, local_files_only=True)
    answers = worker.json(*(row(question=q, context=c, max_answer_tokens=5, top_k=3) for q, c in QUESTIONS))
    for (question, context), answer in zip(QUESTIONS, answers, strict=True):
        encoded = tokenizer(question, context, return_offsets_mapping=True, return_tensors="pt")
        offsets = encoded.pop("offset_mapping")[0].tolist()
        inside = [index for index, part in enumerate(encoded.sequence_ids()) if part == 1]
        output = model(**encoded)
        begin, end = (logits[0, inside].double().softmax(0) for logits in (output.start_logits, output.end_logits))
        spans = [
            (float(begin[i] * end[j]), offsets[inside[i]][0], offsets[inside[j]][1])
            for i in range(len(inside))
            for j in range(i, min(i + 5, len(inside)))
        ]
        best = max(spans)
        first = answer["answers"][0]
        assert (first["start"], first["end"], first["text"]) == (*best[1:], context[best[1] : best[2]])
        assert first["score"] == pytest.approx(best[0], abs=1e-5)
        scores = [each["score"] for each in answer["answers"]]
        assert scores == sorted(scores, reverse=True)
        for one, other in itertools.combinations(answer["answers"], 2):
            assert one["end"] <= other["start"] or other["end"] <= one["start"]


def test_a_long_context_is_cut_and_a_long_question_refused(load: Callable[[str], Worker]) -> None:
    worker = load("tiny-answers")
    [answer] = worker.json(row(question="Where?", context=LONG))
    assert answer["truncated"] is True
    assert answer["tokens"]["read"] == 64
    assert all(LONG[a["start"] : a["end"]] == a["text"] for a in answer["answers"])
    status, message = refusal(worker, question=LONG, context="Paris")
    assert (status, "question leaves none" in message) == (422, True)
    assert refusal(worker, context="Paris") == (422, "question: missing; wanted a question and a context")
    assert refusal(worker, question=" ", context="Paris") == (422, "the question is empty")
    assert refusal(worker, question="Who?", context="")[0] == 422


def numbers(value: Any) -> list[float]:
    """All numbers of an answer, in order."""
    if isinstance(value, dict):
        return [n for key in sorted(value) for n in numbers(value[key])]
    if isinstance(value, list):
        return [n for each in value for n in numbers(each)]
    return [float(value)] if isinstance(value, (int, float)) else []
