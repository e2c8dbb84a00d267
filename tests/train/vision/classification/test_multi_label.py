"""Images to which several classes apply: from a CSV file to an archive that says which."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import average_precision_score, f1_score
from torch.nn import functional as F

from handlers.networks.classifier import classifier
from handlers.vision.transform import ImageTransform
from tests.handlers.worker import Worker
from tests.train.images import plain_image
from tests.train.vision.classification.command import call, write_experiment
from tests.train.vision.classification.served import packed
from train.core.config import ExperimentError
from train.core.file_list import Example, FileList
from train.core.labelled_files import list_table
from train.vision.classification.class_weights import balanced
from train.vision.classification.multi_label import MultiLabelEvaluation, binary_cross_entropy
from train.vision.images import read_image

CLASSES = ["green", "red", "stripes"]


def write_labels(root: Path, count: int = 8) -> Path:
    """Images that are red or green, with stripes or without; the blue ones without stripes have no label at all."""
    rng = np.random.default_rng(0)
    rows = ["file,labels"]
    for colour in ("red", "green", "blue"):
        for pattern in ("", "stripes"):
            for number in range(count):
                file = f"{colour}-{pattern}-{number}.png"
                plain_image(colour, rng, pattern).save(root / file)
                labels = [label for label in (colour, pattern) if label in CLASSES]
                rows.append(f"{file},{' ; '.join(labels)}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(run, artifact)"""
    root = tmp_path_factory.mktemp("several")
    torch.set_num_threads(1)
    data = {"folder": str(write_labels(root)), "labels": "labels.csv", "separator": ";"}
    over = {"mixing": {"mixup": 0.2}, "class_weights": "balanced", "model": "shufflenet_v2_x0_5"}
    experiment = write_experiment(root, "several", data, **over)
    call(experiment, "--runs", root / "runs", "--output", root / "artifacts", "--run", "r")
    return root / "runs" / "several" / "r", root / "artifacts" / "several"


def held_out(run: Path) -> list[dict[str, str]]:
    with (run / "data" / "files.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == "test"]


@torch.inference_mode()
def logits_of(artifact: Path, file: Path) -> np.ndarray[Any, Any]:
    """The model in plain torchvision."""
    described = json.loads((artifact / "artifact.json").read_text())
    network = classifier(**described["architecture"]["arguments"])
    network.load_state_dict(load_file(artifact / "weights.safetensors"))
    fields = {k: v for k, v in described["preprocessing"].items() if k not in ("embedding", "multi_label")}
    image = ImageTransform.from_dict(fields)(read_image(file.read_bytes()))
    return network.eval()(image[None])[0].numpy()


def test_the_scores_are_those_of_scikit_learn(trained: tuple[Path, Path]) -> None:
    run, artifact = trained
    rows = held_out(run)
    true = np.array([[label in row["labels"].split(";") for label in CLASSES] for row in rows])
    logits = np.stack([logits_of(artifact, run.parents[2] / row["file"]) for row in rows])
    scores = json.loads((run / "test.json").read_text())
    assert scores["measured on"] == "test"
    assert scores["accuracy"] == pytest.approx(((logits > 0) == true).mean(), abs=1e-3)
    assert scores["f1"] == pytest.approx(f1_score(true, logits > 0, average="macro", zero_division=0), abs=1e-3)
    precision = [average_precision_score(true[:, i], logits[:, i]) for i in range(3) if true[:, i].any()]
    assert scores["mean average precision"] == pytest.approx(np.mean(precision), abs=1e-3)
    loss = F.binary_cross_entropy_with_logits(torch.from_numpy(logits), torch.from_numpy(true).float())
    assert scores["loss"] == pytest.approx(loss.item(), abs=1e-3)
    with (run / "plots" / "predictions.csv").open(newline="") as file:
        predictions = {row["file"]: row for row in csv.DictReader(file)}
    for row, each in zip(rows, logits, strict=True):
        assert predictions[row["file"]]["true"] == row["labels"]
        assert predictions[row["file"]]["predicted"] == ";".join(
            c for c, z in zip(CLASSES, each, strict=True) if z >= 0
        )


def test_the_server_says_which_apply(trained: tuple[Path, Path], tmp_path: Path) -> None:
    run, artifact = trained
    worker = Worker(packed("several", artifact, tmp_path), tmp_path / "unpacked")
    files = [run.parents[2] / row["file"] for row in held_out(run)[:4]]
    rows = [{"body": file.read_bytes(), "content-type": b"image/png"} for file in files]
    answers = worker.json(*rows)
    for file, row, answer in zip(files, rows, answers, strict=True):
        probabilities = 1 / (1 + np.exp(-logits_of(artifact, file)))
        found = {each["label"]: each["probability"] for each in answer["predictions"]}
        assert found == pytest.approx(dict(zip(CLASSES, probabilities, strict=True)), abs=1e-3)
        assert set(answer["labels"]) == {c for c, p in zip(CLASSES, probabilities, strict=True) if p >= 0.5}
        middle = float(np.sort(probabilities)[1])
        [asked] = worker.json({**row, "threshold": f"{middle - 1e-3}".encode(), "top_k": b"1"})
        assert len(asked["labels"]) >= 2
        assert len(asked["predictions"]) == 1
    [all_of_them] = worker.json({**rows[0], "threshold": b"0"})
    assert sorted(all_of_them["labels"]) == CLASSES
    for wrong in (b"1.5", b"nan", b"much"):
        [(status, _, body)] = worker.answer([{**rows[0], "threshold": wrong}])
        assert (status, orjson.loads(body)["type"]) == (422, "InvalidInput")


def test_a_model_whose_outputs_are_never_negative_is_refused(tmp_path: Path) -> None:
    data = {"folder": str(write_labels(tmp_path)), "labels": "labels.csv", "separator": ";"}
    said = call(write_experiment(tmp_path, "x", data, model="squeezenet1_1"), "--runs", tmp_path / "runs", status=2)
    assert "ends in a ReLU" in said
    folders = write_experiment(tmp_path, "y", {"folder": str(tmp_path), "separator": ";"})
    assert "data.separator: needs data.labels" in call(folders, "--runs", tmp_path / "runs", status=2)


def test_a_table_with_several_labels(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / name).write_bytes(b"")
    table = tmp_path / "l.csv"
    table.write_text("file,tags\na,x| y |x\nb,\nc,y\nd,10|9\n")
    listed = list_table(tmp_path, table, separator="|")
    assert listed.tasks == {"tags": ["9", "10", "x", "y"]}
    assert [listed.indices(example) for example in listed.examples] == [
        [0, 0, 1, 1],
        [0, 0, 0, 0],
        [0, 0, 0, 1],
        [1, 1, 0, 0],
    ]
    listed.write(tmp_path / "written")
    again, _ = FileList.read(tmp_path / "written")
    assert again == listed
    table.write_text("file,tags,more\na,x,y\n")
    with pytest.raises(ExperimentError, match="wanted one column with all labels"):
        list_table(tmp_path, table, separator="|")


def test_rare_classes_are_shared_out() -> None:
    """200 images of one class, every fifth also of another: both have their share of each split."""
    examples = [Example(str(n), ("common", "rare") if n % 5 == 0 else ("common",)) for n in range(200)]
    divided = FileList({"t": ["common", "rare"]}, examples, separator=";").divided(0.2, 0.1, seed=0)
    for split, share in (("train", 0.72), ("validation", 0.2), ("test", 0.08)):  # a tenth of what is left
        counts = divided.counts(split)["t"]
        assert counts["rare"] == pytest.approx(40 * share, abs=1)
        assert counts["common"] == pytest.approx(200 * share, abs=2)
    train = divided.counts("train")["t"]
    images = len(divided.of("train"))
    assert balanced(divided) == {"t": [1 / images, (images - train["rare"]) / train["rare"]]}


def test_the_loss_is_its_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(5, 3, generator=generator), torch.randint(0, 2, (5, 3), generator=generator)
    weights = torch.tensor([1.0, 2.0, 0.5])
    smooth = targets * 0.8 + 0.1
    p = logits.sigmoid()
    expected = -(weights * smooth * p.log() + (1 - smooth) * (1 - p).log()).mean()
    assert binary_cross_entropy(logits, targets, weights, 0.2).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_class_that_is_never_there_has_no_precision() -> None:
    probabilities = np.array([[0.9, 0.2], [0.1, 0.3]], np.float32)
    found = MultiLabelEvaluation(["a", "b"], probabilities, np.array([[1, 0], [0, 0]]), np.arange(2), 0.1, 0)
    metrics = found.metrics()
    assert metrics["average precision per class"] == {"a": 1.0}
    assert metrics["mean average precision"] == 1.0
    assert found.reference()["predicted"] == {"a": 0.5, "b": 0.0}
