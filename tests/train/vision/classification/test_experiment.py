"""From a folder of images to an archive whose handler answers as the model does in Python."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, f1_score
from torchvision.models.feature_extraction import create_feature_extractor

from archiver import archive
from archiver.package import resolve
from archiver.verification.verify import verify
from deploy.configuration import PROJECT
from handlers.loader import from_safetensors
from handlers.networks.classifier import classifier
from handlers.networks.layers import embedding_layer
from handlers.vision.transform import ImageTransform
from tests.handlers.worker import Worker
from tests.train.images import plain_image, write_folders, write_table
from tests.train.vision.classification.command import call, write_experiment
from tests.train.vision.classification.test_models import EACH, FAMILIES
from train.core.artifact import Artifact
from train.core.file_list import FileList
from train.vision.classification.module import ImageClassifier
from train.vision.images import read_image

# One of each kind of layer as an ONNX graph as well; writing one takes seconds.
GRAPHS = {"mobilenet_v2", "vit_b_32", "shufflenet_v2_x0_5"}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def packed(name: str, artifact: Path, folder: Path, **spec: Any) -> Path:
    file = folder / f"{name}.yaml"
    values = {"artifact": str(artifact), "batch": {"size": 4}, "threads": 1, **spec}
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    return archive.build(resolve(file, folder), PROJECT / "handlers", folder / "store").path


Trained = Callable[[str], tuple[Path, Path]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Kind of data → (run, artifact): trained once, with `python -m train EXPERIMENT`'s own command."""
    root = tmp_path_factory.mktemp("trained")
    write_folders(root / "folders")
    write_table(root / "table")
    (root / "folders" / "red" / "broken.jpg").write_bytes(b"broken")
    found: dict[str, tuple[Path, Path]] = {}
    kinds: dict[str, dict[str, Any]] = {
        "one": {"data": {"folder": str(root / "folders")}},
        "two": {
            "data": {"folder": str(root / "table"), "labels": "labels.csv"},
            "model": "shufflenet_v2_x0_5",
            "mixing": {"mixup": 0.2, "cutmix": 1.0},
            "task_weights": {"pattern": 2.0},
            "class_weights": "balanced",
        },
        "program": {"data": {"folder": str(root / "folders")}, "format": "torch-export"},
    }

    def train(kind: str) -> tuple[Path, Path]:
        if kind not in found:
            torch.set_num_threads(1)
            experiment = write_experiment(root, kind, **kinds[kind])
            with torch.inference_mode(False):  # a test that first asks for it may compare in that mode
                call(experiment, "--runs", root / "runs", "--output", root / "artifacts", "--run", "r")
            found[kind] = root / "runs" / kind / "r", root / "artifacts" / kind
        return found[kind]

    return train


def worker(trained: Trained, kind: str, folder: Path, **spec: Any) -> Worker:
    return Worker(packed(kind, trained(kind)[1], folder, **spec), folder / "unpacked")


def held_out(run: Path, root: Path) -> list[tuple[Path, tuple[str, ...]]]:
    listed, _ = FileList.read(run / "data")
    return [(root / example.file, example.labels) for example in listed.of("test")]


def row(path: Path, **fields: bytes) -> dict[str, Any]:
    types = {".jpg": b"image/jpeg", ".png": b"image/png", ".webp": b"image/webp"}
    return {"body": path.read_bytes(), "content-type": types[path.suffix], **fields}


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


@torch.inference_mode()
def test_an_ensemble_of_a_run_and_an_artifact_is_served_as_one(trained: Trained, tmp_path: Path) -> None:
    run, artifact = trained("one")
    experiment = tmp_path / "both.yaml"
    experiment.write_text(
        yaml.safe_dump({"system": "ensemble", "members": [str(run), str(artifact)], "weights": [3, 1]})
    )
    call(experiment, "--output", tmp_path / "artifacts")
    described = json.loads((tmp_path / "artifacts" / "both" / "artifact.json").read_text())
    weights = load_file(tmp_path / "artifacts" / "both" / "weights.safetensors")
    assert weights["weights"].tolist() == [0.75, 0.25]
    # Both members are the same model, and so is their average.
    single = json.loads((run / "test.json").read_text())
    assert described["metrics"]["accuracy"] == single["accuracy"]
    assert [m["accuracy"] for m in described["metrics"]["members"].values()] == [single["accuracy"]] * 2
    served = Worker(packed("both", tmp_path / "artifacts" / "both", tmp_path), tmp_path / "unpacked")
    (tmp_path / "alone").mkdir()
    alone = worker(trained, "one", tmp_path / "alone")
    path = next(path for path, _ in held_out(run, run.parents[2] / "folders") if path.suffix == ".jpg")
    [found], [expected] = served.json(row(path)), alone.json(row(path))
    for one, other in zip(found["predictions"], expected["predictions"], strict=True):
        assert one["label"] == other["label"]
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-4)


def artifact_of(name: str, folder: Path, transform: ImageTransform) -> tuple[Path, torch.nn.Module]:
    """A classifier of the classes of "one" that nobody trained."""
    torch.manual_seed(1)
    network = classifier(name, 3).eval()
    sample = folder.with_suffix(".png")
    plain_image("red", np.random.default_rng(0)).save(sample)
    artifact = Artifact(
        name=folder.name,
        task="image-classification",
        format="safetensors",
        labels=["blue", "green", "red"],
        architecture={
            "factory": "handlers.networks.classifier.classifier",
            "arguments": {"model": name, "classes": 3},
        },
        preprocessing={**transform.to_dict(), "embedding": embedding_layer(network)},
    )
    return artifact.write(folder, network.state_dict(), sample), network


@torch.inference_mode()
def test_an_ensemble_of_other_architectures_and_transforms(trained: Trained, tmp_path: Path) -> None:
    run, _ = trained("one")
    transforms = [
        ImageTransform((48, 40), interpolation="bicubic", mean=(0.1, 0.2, 0.3)),
        ImageTransform(36, (32, 32)),
    ]
    made = [
        artifact_of(name, tmp_path / name, transform)
        for name, transform in zip(("mobilenet_v3_small", "shufflenet_v2_x0_5"), transforms, strict=True)
    ]
    best = run / json.loads((run / "fit.json").read_text())["best"]
    module = ImageClassifier.load_from_checkpoint(best, map_location="cpu", weights_only=True).eval()
    experiment = tmp_path / "three.yaml"
    members = [*(str(folder) for folder, _ in made), str(run)]
    experiment.write_text(yaml.safe_dump({"system": "ensemble", "members": members, "weights": [1, 1, 2]}))
    call(experiment, "--output", tmp_path / "artifacts")
    described = json.loads((tmp_path / "artifacts" / "three" / "artifact.json").read_text())
    each = list(described["metrics"]["members"].values())
    assert each[2]["accuracy"] == json.loads((run / "test.json").read_text())["accuracy"]
    features = {"members.2.features": "pooled", "members.0.features.0": "map"}
    archive_file = packed("three", tmp_path / "artifacts" / "three", tmp_path, options={"features": features})
    served = Worker(archive_file, tmp_path / "unpacked")
    images = [path for path, _ in held_out(run, run.parents[2] / "folders") if path.suffix == ".jpg"][:3]
    whole = {"features": b"members.2.features, members.0.features.0"}
    batch = served.json(*(row(path, **whole) for path in images))
    for path, together in zip(images, batch, strict=True):
        image = read_image(path.read_bytes())
        networks = [(network, transform) for (_, network), transform in zip(made, transforms, strict=True)]
        networks.append((module.network, module.transform))
        probabilities = [network(transform(image)[None])[0].softmax(0) for network, transform in networks]
        expected = (torch.stack(probabilities) * torch.tensor([[1], [1], [2]]) / 4).sum(0).numpy()
        [alone] = served.json(row(path, **whole))
        for answer in (alone, together):
            found = {item["index"]: item["probability"] for item in answer["predictions"]}
            np.testing.assert_allclose([found[index] for index in range(3)], expected, atol=1e-4)
            maps = create_feature_extractor(made[0][1], ["features.0"])(transforms[0](image)[None])["features.0"]
            np.testing.assert_allclose(answer["features"]["members.0.features.0"], maps[0].numpy(), atol=1e-3)
            last = create_feature_extractor(module.network, ["features"])(module.transform(image)[None])["features"]
            mean = last[0].mean((1, 2)).numpy()
            np.testing.assert_allclose(answer["features"]["members.2.features"], mean, atol=1e-3, rtol=1e-3)
    status, _, body = served.answer([row(images[0], features=b"classifier")])[0]
    assert status == 422
    assert b"it has members.2.features, members.0.features.0" in body


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (["one", "two"], "labels ['blue', 'green', 'red', 'dots', 'stripes']…; wanted ['blue', 'green', 'red']"),
        (["one", "program"], "is for image-classification as torch-export; wanted safetensors"),
        (["one", "nowhere"], "nowhere is neither a run nor an artifact folder"),
    ],
)
def test_members_that_do_not_fit(members: list[str], said: str, trained: Trained, tmp_path: Path) -> None:
    paths = [str(trained(kind)[1]) if kind != "nowhere" else "nowhere" for kind in members]
    experiment = tmp_path / "both.yaml"
    experiment.write_text(yaml.safe_dump({"system": "ensemble", "members": paths}))
    assert said in call(experiment, "--output", tmp_path, status=2)


@pytest.mark.parametrize("name", EACH)
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
        (["weights=V9"], "squeezenet1_1 has no 'V9'; there are IMAGENET1K_V1"),
        (["data.folder=/nowhere"], "there is no folder /nowhere"),
        (["task_weights.shape=2"], "no task is called shape; there are class"),
        (["data.validation_share=0.0001", "data.test_share=0"], "no file for validation"),
    ],
)
def test_what_a_file_cannot_say_is_said_before_training(over: list[str], said: str, tmp_path: Path) -> None:
    write_folders(tmp_path / "data", 3)
    experiment = write_experiment(tmp_path, "mine", {"folder": str(tmp_path / "data")})
    assert said in call("fit", experiment, *over, "--runs", tmp_path / "runs", status=2)
