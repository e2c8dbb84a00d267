"""Several classifiers served as one, beside the average of their probabilities."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torchvision.models.feature_extraction import create_feature_extractor

from handlers.networks.classifier import classifier
from handlers.networks.layers import embedding_layer
from handlers.vision.transform import ImageTransform
from tests.handlers.worker import Worker
from tests.train.images import plain_image
from tests.train.vision.classification.command import call
from tests.train.vision.classification.served import Trained, held_out, packed, row, worker
from train.core.artifact import Artifact
from train.vision.classification.module import ImageClassifier
from train.vision.images import read_image


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
        (["one", "program"], "is for image-classification in the format torch-export; wanted a classifier"),
        (["one", "nowhere"], "nowhere is neither a run nor an artifact folder"),
    ],
)
def test_members_that_do_not_fit(members: list[str], said: str, trained: Trained, tmp_path: Path) -> None:
    paths = [str(trained(kind)[1]) if kind != "nowhere" else "nowhere" for kind in members]
    experiment = tmp_path / "both.yaml"
    experiment.write_text(yaml.safe_dump({"system": "ensemble", "members": paths}))
    assert said in call(experiment, "--output", tmp_path, status=2)
