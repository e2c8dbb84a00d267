"""Labels that are not the model's: as many as it has outputs, or the archive is not built."""

import json
from pathlib import Path

import pytest
import torch

from archiver.archive import build
from archiver.errors import VerificationError
from archiver.package import resolve
from archiver.verification.response_checks import check
from archiver.verification.verify import verify
from deploy.configuration import PROJECT
from tests.tiny_artifacts import TINY

SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    [
        "tiny-image",
        pytest.param("tiny-detection", marks=SLOW),
        pytest.param("tiny-semantic", marks=SLOW),
        pytest.param("tiny-audio", marks=SLOW),
        pytest.param("tiny-text", marks=SLOW),
        pytest.param("tiny-entities", marks=SLOW),
    ],
)
def test_one_label_too_many(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    file = TINY[name](tmp_path / "model") / "artifact.json"
    description = json.loads(file.read_text())
    labels = [*description["labels"], "another"]
    file.write_text(json.dumps({**description, "labels": labels}))
    (tmp_path / "model.yaml").write_text(f"backend: {'auto' if name == 'tiny-image' else 'torch'}\n")
    package = resolve(tmp_path / "model.yaml", tmp_path)
    message = rf": failed: the model has {len(labels) - 1} outputs; the artifact names {len(labels)} labels"
    with pytest.raises(VerificationError, match=message):
        build(package, PROJECT / "handlers", tmp_path / "store", lambda path: print(verify(path)))
    assert list((tmp_path / "store").iterdir()) == []


def test_an_answer_with_fewer_classes_than_labels() -> None:
    """Of an archive whose handlers are older than their check."""
    body = {"predictions": [{"label": "a", "probability": 1.0, "index": 0}]}
    assert check("image-classification", body, ["a", "b"], "it") == []
    [problem] = check("image-classification", body, ["a", "b"], "it", every_class=True)
    assert str(problem) == "it.predictions: 1 classes; the model card has 2 labels"
