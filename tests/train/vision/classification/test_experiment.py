"""From a folder of images to an archive whose handler answers as the model does in Python."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from sklearn.metrics import accuracy_score, f1_score
from torchvision.models.feature_extraction import create_feature_extractor

from archiver.verification.verify import verify
from handlers.loader import from_safetensors
from handlers.networks.classifier import classifier
from handlers.networks.layers import embedding_layer
from handlers.vision.transform import ImageTransform
from tests.handlers.worker import Worker
from tests.train.images import plain_image, write_folders
from tests.train.vision.classification.command import call, write_experiment
from tests.train.vision.classification.served import Trained, held_out, packed, row, worker
from tests.train.vision.classification.test_models import FAMILIES, each
from train.core.artifact import Artifact
from train.vision.classification.module import ImageClassifier
from train.vision.images import read_image

# One of each kind of layer as an ONNX graph as well; writing one takes seconds.
GRAPHS = {"mobilenet_v2", "vit_b_32", "shufflenet_v2_x0_5"}


def test_a_run_is_recorded_and_its_metrics_are_scikit_learns(trained: Trained) -> None:
    run, artifact = trained("one")
    data = json.loads((run / "data" / "data.json").read_text())
    assert data["unreadable"] == 1
    assert "red/broken.jpg" in (run / "data" / "unreadable.csv").read_text()
    assert {path.name for path in (run / "plots").iterdir()} == {
        "confusion.png",
        "examples.png",
        "precision-recall.png",
        "predictions.csv",
    }
    assert list((run / "tensorboard").glob("events.*"))
    assert yaml.safe_load((run / "configuration.yaml").read_text())["augmentation"]["flip"] == 0.0
    with (run / "plots" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    true, predicted = [row["true"] for row in rows], [row["predicted"] for row in rows]
    metrics = json.loads((run / "test.json").read_text())
    assert len(rows) == data["files"]["test"]
    assert metrics["accuracy"] == pytest.approx(accuracy_score(true, predicted), abs=1e-4)
    assert metrics["f1"] == pytest.approx(f1_score(true, predicted, average="macro"), abs=1e-4)
    described = json.loads((artifact / "artifact.json").read_text())
    assert described["metrics"] == metrics
    assert sum(described["reference"]["predicted"].values()) == pytest.approx(1, abs=1e-3)
    assert {path.name for path in (artifact / "extras").iterdir()} >= {"confusion.png", "examples.png"}


@torch.inference_mode()
def test_the_handlers_answer_is_the_trained_models(trained: Trained, tmp_path: Path) -> None:
    run, _ = trained("one")
    served = worker(trained, "one", tmp_path)
    best = run / json.loads((run / "fit.json").read_text())["best"]
    module = ImageClassifier.load_from_checkpoint(best, map_location="cpu", weights_only=True).eval()
    images = [path for path, _ in held_out(run, run.parents[2] / "folders") if path.suffix != ".bmp"]
    assert len(images) >= 4
    for path in images:
        seen = module.transform.geometry(read_image(path.read_bytes()))
        expected = module(seen[None])["class"].softmax(1)[0].numpy()
        [answer] = served.json(row(path, embedding=b"true"))
        found = {item["index"]: item["probability"] for item in answer["predictions"]}
        np.testing.assert_allclose([found[index] for index in range(3)], expected, atol=1e-4)
        assert answer["predictions"][0]["label"] == ["blue", "green", "red"][expected.argmax()]
        reference = create_feature_extractor(module.network, {"classifier.0": "e"})(
            module.transform.normalise(seen)[None]
        )
        np.testing.assert_allclose(answer["embedding"], reference["e"].flatten().numpy(), rtol=1e-3, atol=1e-3)
        assert "embedding" not in served.json(row(path))[0]


@torch.inference_mode()
def test_several_tasks_are_answered_each(trained: Trained, tmp_path: Path) -> None:
    run, artifact = trained("two")
    served = worker(trained, "two", tmp_path)
    model = from_safetensors(served.handler.artifact).eval()
    described = json.loads((artifact / "artifact.json").read_text())
    assert described["labels"] == ["blue", "green", "red", "dots", "stripes"]
    assert described["metrics"]["tasks"].keys() == {"colour", "pattern"}
    assert described["reference"]["tasks"].keys() == {"colour", "pattern"}
    assert (run / "plots" / "colour-confusion.png").is_file()
    for path, _ in held_out(run, run.parents[2] / "table")[:4]:
        logits = model(served.handler.transform(read_image(path.read_bytes()))[None])[0]
        [answer] = served.json(row(path))
        assert answer.keys() == {"tasks"}
        for task, part in (("colour", logits[:3]), ("pattern", logits[3:])):
            found = {item["index"]: item["probability"] for item in answer["tasks"][task]}
            np.testing.assert_allclose([found[i] for i in range(len(part))], part.softmax(0).numpy(), atol=1e-4)
    assert served.json(row(path, top_k=b"1"))[0]["tasks"]["colour"][1:] == []


def test_an_exported_program_answers_and_has_no_embedding(trained: Trained, tmp_path: Path) -> None:
    run, _ = trained("program")
    served = worker(trained, "program", tmp_path)
    path = next(path for path, _ in held_out(run, run.parents[2] / "folders") if path.suffix != ".bmp")
    assert len(served.json(row(path), row(path), row(path))) == 3
    status, _, body = served.answer([row(path, embedding=b"true")])[0]
    assert status == 422
    assert b"this model gives none" in body


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one", "two", "program"])
def test_the_archive_verifies(kind: str, trained: Trained, tmp_path: Path) -> None:
    assert verify(packed(kind, trained(kind)[1], tmp_path)).load_s > 0


# vgg11_bn, of half a gigabyte, consists of what AlexNet and batch norms elsewhere do.
@pytest.mark.parametrize("name", each("vgg11_bn"))
@torch.inference_mode()
def test_every_family_goes_through_archive_and_handler(name: str, tmp_path: Path) -> None:
    side = max(FAMILIES[name], 32)
    arguments: dict[str, Any] = {
        "model": name,
        "classes": 3,
        **({"image_size": side} if name.startswith("vit") else {}),
    }
    torch.manual_seed(0)
    network = classifier(**arguments).eval()
    sample = tmp_path / "sample.png"
    plain_image("red", np.random.default_rng(0)).save(sample)
    transform = ImageTransform(resize=(side, side))
    Artifact(
        name="family",
        task="image-classification",
        format="safetensors",
        labels=["a", "b", "c"],
        architecture={"factory": "handlers.networks.classifier.classifier", "arguments": arguments},
        preprocessing={**transform.to_dict(), "embedding": embedding_layer(network)},
    ).write(tmp_path / "artifact", network.state_dict(), sample)
    backend = "onnxruntime" if name in GRAPHS else "torch"
    served = Worker(packed("family", tmp_path / "artifact", tmp_path, backend=backend), tmp_path / "unpacked")
    expected = network(transform(read_image(sample.read_bytes()))[None]).softmax(1)[0]
    [answer] = served.json(row(sample, embedding=b"1"))
    found = {item["index"]: item["probability"] for item in answer["predictions"]}
    np.testing.assert_allclose([found[index] for index in range(3)], expected.numpy(), atol=1e-4)
    assert len(answer["embedding"]) >= 3


def test_errors_come_all_at_once(tmp_path: Path) -> None:
    experiment = tmp_path / "wrong.yaml"
    values = {
        "data": {"workers": -1},
        "batch_size": 0,
        "learning": {"learning_rate": -1},
        "frozen": "all",
        "modell": "resnet18",
    }
    experiment.write_text(yaml.safe_dump({"system": "image-classification", **values}))
    output = call(experiment, status=2)
    for key in ("data.folder", "data.workers", "batch_size", "learning.learning_rate", "frozen", "modell"):
        assert key in output


@pytest.mark.parametrize(
    ("over", "said"),
    [
        (["model=resnet19"], "torchvision has no classifier 'resnet19'"),
        (["weights=V9"], "squeezenet1_1 has no 'V9'; wanted one of IMAGENET1K_V1"),
        (["data.folder=/nowhere"], "there is no folder /nowhere"),
        (["task_weights.shape=2"], "unknown task shape; wanted class"),
        (["data.validation_share=0.0001", "data.test_share=0"], "no files in the validation split"),
    ],
)
def test_what_a_file_cannot_say_is_said_before_training(over: list[str], said: str, tmp_path: Path) -> None:
    write_folders(tmp_path / "data", 3)
    experiment = write_experiment(tmp_path, "mine", {"folder": str(tmp_path / "data")})
    assert said in call("fit", experiment, *over, "--runs", tmp_path / "runs", status=2)
