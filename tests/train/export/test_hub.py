"""Models of the hub: pinned, fetched over HTTP from a hub on this machine, and refused where they are others."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from archiver import archive, spec
from archiver.package import resolve
from archiver.tasks import TASKS
from tests import tiny_vision
from tests.handlers.vision.served import PROJECT, ROWS
from tests.handlers.worker import Worker
from tests.hub import COMMIT, local_hub
from train.core.config import ExperimentError
from train.core.experiment import load
from train.export.huggingface import HuggingFace, Task

EXPERIMENTS = sorted((PROJECT / "train/experiments/hub").glob("*.yaml"))
# Tasks whose models come from elsewhere: Silero's package, and training.
ELSEWHERE = {"voice-activity", "policy"}


def test_every_task_has_a_model_with_a_spec() -> None:
    found = {load(str(path)).model_dump().get("task") for path in EXPERIMENTS}
    assert found == set(TASKS) - ELSEWHERE
    assert set(get_args(Task)) <= set(TASKS)
    for path in EXPERIMENTS:
        assert (spec.SPECS / "hub" / path.name).is_file()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_it_is_pinned(path: Path) -> None:
    """A repository by its commit; torchvision's files have the beginning of their SHA-256 in their names."""
    experiment = load(str(path))
    if not isinstance(experiment, HuggingFace):
        assert yaml.safe_load(path.read_text())["weights"] != "DEFAULT"
        return
    assert re.fullmatch("[0-9a-f]{7}|[0-9a-f]{40}", experiment.revision)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in experiment.sha256.values())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_vision.source("dinov2", tmp_path / "repository")


def experiment(root: Path, folder: Path, **over: Any) -> Path:
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    values = {"task": "image-embedding", "repository": "owner/name", "revision": COMMIT, "sha256": digests, **over}
    path = root / "vectors.yaml"
    path.write_text(yaml.safe_dump({"system": "huggingface", **values}))
    return path


def test_from_the_hub_to_an_answer(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "README.md").write_text("Not for the model.")
    file = experiment(tmp_path, folder, sha256={"model.safetensors": digest_of(folder / "model.safetensors")})
    with local_hub(tmp_path / "cache", monkeypatch) as hub:
        hub.repositories["owner/name"] = folder
        load(str(file)).run(tmp_path / "vectors")
        assert f"/owner/name/resolve/{COMMIT}/model.safetensors" in hub.asked
        assert not any(path.endswith("README.md") for path in hub.asked)
    described = json.loads((tmp_path / "vectors" / "artifact.json").read_text())
    assert described["training"]["revision"] == COMMIT
    (tmp_path / "spec.yaml").write_text(json.dumps({"artifact": "vectors", "backend": "torch"}))
    archive.build(resolve(tmp_path / "spec.yaml", tmp_path), PROJECT / "handlers", tmp_path / "store")
    assert len(Worker(tmp_path / "store" / "spec.mar", tmp_path / "unpacked").json(ROWS[0])[0]["embedding"]) == 32


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_another_file_than_the_pinned_one(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = experiment(tmp_path, folder)
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    with local_hub(tmp_path / "cache", monkeypatch) as hub:
        hub.repositories["owner/name"] = folder
        with pytest.raises(
            ExperimentError, match=rf"sha256: {re.escape(name)} of owner/name is [0-9a-f]{{64}}; wanted"
        ):
            load(str(file)).run(tmp_path / "vectors")
    assert not (tmp_path / "vectors").exists()


def test_weights_that_were_added(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = experiment(tmp_path, folder)
    (folder / "model-00002.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with local_hub(tmp_path / "cache", monkeypatch) as hub:
        hub.repositories["owner/name"] = folder
        with pytest.raises(
            ExperimentError, match=r"sha256: owner/name has model-00002\.safetensors, whose hashes are missing"
        ):
            load(str(file)).run(tmp_path / "vectors")


def test_a_file_that_has_gone(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = experiment(tmp_path, folder)
    (folder / "preprocessor_config.json").unlink()
    with local_hub(tmp_path / "cache", monkeypatch) as hub:
        hub.repositories["owner/name"] = folder
        with pytest.raises(ExperimentError, match=r"sha256: owner/name has no preprocessor_config\.json"):
            load(str(file)).run(tmp_path / "vectors")


@pytest.mark.parametrize("over", [{"revision": "f" * 40}, {"repository": "owner/other"}])
def test_what_the_hub_does_not_have(
    over: dict[str, str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = experiment(tmp_path, folder, **over)
    with local_hub(tmp_path / "cache", monkeypatch) as hub:
        hub.repositories["owner/name"] = folder
        with pytest.raises(ExperimentError, match="owner/"):
            load(str(file)).run(tmp_path / "vectors")
