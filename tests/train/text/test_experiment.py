"""Training on one's own texts: what padding changes (nothing), metrics, checkpoints, resuming, and the whole path."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from archiver import archive
from archiver.package import resolve
from deploy.configuration import PROJECT
from tests.handlers.worker import Worker
from train.core.config import ExperimentError
from train.core.experiment import load
from train.core.run import Run
from train.text.experiment import TextClassification
from train.text.metrics import by_class, reference, scores
from train.text.model import model_of, tokenizer_of
from train.text.trainer import last_checkpoint

WORDS = {"train": "rails platform ticket", "boat": "harbour deck anchor", "plane": "runway wing gate"}


def test_metrics_follow_their_definitions() -> None:
    """Counted by hand from true and false positives, weighted by how many there are of a class."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 4, 200)
    found = np.where(random.random(200) < 0.6, truth, random.integers(0, 4, 200))
    hits = np.array([((truth == c) & (found == c)).sum() for c in range(4)])
    precision = hits / np.array([(found == c).sum() for c in range(4)])
    recall = hits / np.array([(truth == c).sum() for c in range(4)])
    f1 = 2 * precision * recall / (precision + recall)
    weights = np.bincount(truth) / 200
    expected = {
        "accuracy": (truth == found).mean(),
        "precision": weights @ precision,
        "recall": weights @ recall,
        "f1": weights @ f1,
        "macro_f1": f1.mean(),
    }
    assert scores(truth, found) == pytest.approx(expected)
    table = by_class(truth, found, ["a", "b", "c", "d"])
    assert [row["f1-score"] for row in table.values()] == pytest.approx(f1, abs=1e-4)


def test_the_reference_counts_classes_and_confidence() -> None:
    logits = np.log([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.4, 0.5], [0.2, 0.2, 0.6]])
    assert reference(logits, ["a", "b", "c"], multi_label=False) == {
        "texts": 4,
        "classes": {"a": 0.5, "b": 0.0, "c": 0.5},
        "confidence": 0.6,
    }


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., TextClassification]:
    """An experiment on a file of texts of very different lengths, as a user writes it."""

    def make(*overrides: str, multi_label: bool = False) -> TextClassification:
        random = np.random.default_rng(0)
        rows = []
        for number in range(160):
            kinds = random.choice(list(WORDS), random.integers(1, 3) if multi_label else 1, replace=False).tolist()
            words = [word for kind in kinds for word in WORDS[kind].split()]
            text = " ".join(random.choice(words, random.integers(2, 30)))
            rows.append({"text": f"{number} {text}", "label": kinds if multi_label else kinds[0]})
        data = tmp_path / "own.jsonl"
        data.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
        experiment = tmp_path / "own.yaml"
        values = {
            "system": "text-classification",
            "data": {"train": str(data), "multi_label": multi_label},
            "model": {"vocabulary": 400, "hidden": 32, "layers": 1},
            "max_length": 32,
            "trainer": {"epochs": 2, "batch_size": 8, "learning_rate": 0.005, "validate_every": 8, "precision": "32"},
        }
        experiment.write_text(json.dumps(values))
        loaded = load(str(experiment), list(overrides))
        assert isinstance(loaded, TextClassification)
        return loaded

    return make


class Killed(Exception):
    pass


class KillAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.global_step == self.step:
            raise Killed


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_weights(
    own: Callable[..., TextClassification], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = own()
    whole = Run.create(tmp_path / "runs", experiment, "whole")
    experiment.fit(whole)
    broken = Run.create(tmp_path / "runs", experiment, "broken")
    with monkeypatch.context() as patched:
        patched.setattr("train.text.trainer.StepProgress", lambda name: KillAt(13))
        with pytest.raises(Killed):
            experiment.fit(broken)
    # A checkpoint that was being written when it happened.
    (broken.checkpoints / "checkpoint-12").mkdir()
    (broken.checkpoints / "checkpoint-12" / "config.json").write_text("{")
    assert last_checkpoint(broken) == broken.checkpoints / "checkpoint-8"
    experiment.fit(broken)
    one, other = (load_file(run.checkpoints / "best" / "model.safetensors") for run in (whole, broken))
    for name, weights in one.items():
        torch.testing.assert_close(weights, other[name], rtol=0, atol=1e-6)
    assert broken.recorded("fit")["score"] == whole.recorded("fit")["score"]


@pytest.mark.slow
@pytest.mark.parametrize("head", ["auto", "mean-pooling"])
def test_from_a_file_to_an_answer(own: Callable[..., TextClassification], tmp_path: Path, head: str) -> None:
    experiment = own(
        f"head={head}", "trainer.patience=1", "trainer.monitor=loss", "trainer.gradient_checkpointing=true"
    )
    run = Run.create(tmp_path / "runs", experiment, "r")
    experiment.fit(run)
    experiment.test(run)
    experiment.export(run, tmp_path / "artifacts" / "own")

    state = json.loads(max(run.checkpoints.glob("checkpoint-*/trainer_state.json"), key=by_step).read_text())
    losses = {entry["step"]: entry["eval_loss"] for entry in state["log_history"] if "eval_loss" in entry}
    assert run.recorded("fit")["score"] == pytest.approx(min(losses.values()), abs=1e-6)
    best = f"checkpoint-{min(losses, key=losses.__getitem__)}"
    assert run.recorded("fit")["checkpoint"] == best
    kept = load_file(run.checkpoints / best / "model.safetensors")
    assert all(torch.equal(w, kept[n]) for n, w in load_file(run.checkpoints / "best" / "model.safetensors").items())
    assert list((run.folder / "tensorboard").glob("events.out.*"))
    assert {path.name for path in run.plots.iterdir()} == {"by-class.csv", "confusion.png"}

    description = json.loads((tmp_path / "artifacts" / "own" / "artifact.json").read_text())
    assert description["metrics"]["f1"] > 0.9
    assert description["labels"] == sorted(WORDS)
    assert sum(description["reference"]["classes"].values()) == pytest.approx(1, abs=1e-3)
    assert 1 / 3 < description["reference"]["confidence"] <= 1

    (tmp_path / "own-spec.yaml").write_text("name: own\nartifact: own\n")
    package = resolve(tmp_path / "own-spec.yaml", tmp_path / "artifacts")
    worker = Worker(archive.build(package, PROJECT / "handlers", tmp_path / "store").path, tmp_path / "unpacked")
    texts = ["anchor deck harbour " * 6, "a wing", "ticket " * 40]
    answers = worker.json(*({"body": text.encode()} for text in texts))
    assert [answer["predictions"][0]["label"] for answer in answers] == ["boat", "plane", "train"]
    assert [answer.get("truncated") for answer in answers] == [None, None, True]
    for text, together in zip(texts, answers, strict=True):
        [alone] = worker.json({"body": orjson.dumps({"text": text}), "content-type": b"application/json"})
        for one, other in zip(alone["predictions"], together["predictions"], strict=True):
            assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)


@pytest.mark.slow
def test_several_labels(own: Callable[..., TextClassification], tmp_path: Path) -> None:
    experiment = own("head=mean-pooling", "trainer.epochs=4", multi_label=True)
    run = Run.create(tmp_path / "runs", experiment, "r")
    experiment.fit(run)
    experiment.test(run)
    assert run.recorded("test")["metrics"]["f1"] > 0.8
    saved = json.loads((run.checkpoints / "best" / "config.json").read_text())
    assert saved["problem_type"] == "multi_label_classification"


def test_batches_are_padded_to_their_longest_and_hold_like_lengths(
    own: Callable[..., TextClassification], tmp_path: Path
) -> None:
    def padding(grouping: str) -> tuple[int, set[int]]:
        experiment = own(f"trainer.length_grouping={grouping}")
        run = Run.create(tmp_path / grouping, experiment, "r")
        texts = experiment.files().read(0)
        tokenizer = tokenizer_of(experiment.model, "main", (e.text for e in texts.train), 32)
        rows = experiment.tokenised(texts.train, texts, tokenizer)
        model = model_of(experiment.model, "main", "auto", tokenizer, texts.labels, False, 32)
        trainer = experiment.trainer.trainer(run, "own", 0, model, tokenizer, rows, rows)
        batches = list(trainer.get_train_dataloader())
        for batch in batches:
            assert int(batch["attention_mask"].sum(dim=1).max()) == batch["input_ids"].shape[1]
        return sum(int((batch["attention_mask"] == 0).sum()) for batch in batches), {
            batch["input_ids"].shape[1] for batch in batches
        }

    (grouped, widths), (random, _) = padding("true"), padding("false")
    assert grouped < random / 2
    assert len(widths) > 3


def by_step(path: Path) -> int:
    return int(path.parent.name.rpartition("-")[2])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=/nowhere/at-all"], "/nowhere/at-all cannot be loaded"),
        (["data.text_column=review"], "no column 'review'"),
    ],
)
def test_what_cannot_be_trained(
    own: Callable[..., TextClassification], tmp_path: Path, overrides: list[str], message: str
) -> None:
    experiment = own(*overrides)
    with pytest.raises(ExperimentError, match=message):
        experiment.fit(Run.create(tmp_path / "runs", experiment, "r"))


@pytest.mark.parametrize("override", ["trainer.monitor=bleu", "head=cls", "data.splits=3", "trainer.precision=int8"])
def test_a_wrong_configuration(own: Callable[..., TextClassification], override: str) -> None:
    with pytest.raises(ValueError, match=override.partition("=")[0].split(".")[-1]):
        own(override)
