"""Text classification: the same answers as the model called in Python, alone and in a batch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    ByT5Tokenizer,
    RobertaConfig,
    RobertaForSequenceClassification,
    pipeline,
)

from archiver import archive
from archiver.package import resolve
from deploy.configuration import PROJECT
from tests.handlers.worker import Worker
from tests.inputs import TEXTS
from train.core.artifact import Artifact


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


def classifier(folder: Path, labels: list[str], problem: str | None) -> Path:
    """A RoBERTa with positions for 63 tokens, of 64."""
    torch.manual_seed(0)
    configuration = RobertaConfig(
        vocab_size=384,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        pad_token_id=0,
        initializer_range=0.5,
        problem_type=cast(Any, problem),
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    weights = folder / "weights"
    RobertaForSequenceClassification(configuration).save_pretrained(weights)
    ByT5Tokenizer().save_pretrained(weights)
    sample = folder / "sentence.txt"
    sample.write_text("Where is the station?", encoding="utf-8")
    artifact = Artifact(
        name="scores",
        task="text-classification",
        format="huggingface",
        labels=labels,
        preprocessing={"max_length": 64},
    ).write(folder / "artifact", weights, sample)
    spec = folder / "scores.yaml"
    spec.write_text(f"name: scores\nartifact: {artifact}\nworkers: 1\nthreads: 1\nbackend: torch\n")
    return archive.build(resolve(spec, folder), PROJECT / "handlers", folder / "store").path


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (["toxic"], None),
        (["toxic"], "multi_label_classification"),
        (["similarity"], "regression"),
        (["valence", "arousal"], "regression"),
        (["a", "b"], "multi_label_classification"),
        (["a", "b"], "single_label_classification"),
        (["a", "b"], None),
    ],
)
def test_scores_are_those_of_transformers_pipeline(tmp_path: Path, labels: list[str], problem: str | None) -> None:
    worker = Worker(classifier(tmp_path, labels, problem), tmp_path / "unpacked")
    classify = pipeline("text-classification", str(worker.handler.artifact.weights), top_k=None)
    regression = problem == "regression"
    independent = problem == "multi_label_classification" or (len(labels) == 1 and not regression)
    texts = [*TEXTS, "long " * 40]
    for text, answer in zip(texts, worker.json(*({"body": text.encode()} for text in texts)), strict=True):
        # The pipeline cuts to the tokenizer's length, which this one does not know.
        [expected] = cast(Any, classify([text], truncation=True, max_length=63))
        for found, wanted in zip(answer["predictions"], expected, strict=True):
            assert found["label"] == wanted["label"]
            assert found["score" if regression else "probability"] == pytest.approx(wanted["score"], abs=1e-5)
        assert ("labels" in answer) == independent
    assert answer["tokens"]["read"] == 63
    [first] = worker.json({"body": b"short", "top_k": b"1"})
    assert len(first["predictions"]) == 1
    [(status, _, body)] = worker.answer([{"body": b"short", "threshold": b"0.5"}])
    assert status == (200 if independent else 422), body
