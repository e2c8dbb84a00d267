"""A Hugging Face folder as an artifact: what a hub repository is once it has been fetched."""

import json
from pathlib import Path

import pytest

from tests.tiny_artifacts import text_classification
from train.experiment import ExperimentError, load


def experiment(tmp_path: Path, repository: str) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({"system": "huggingface", "repository": repository, "sample": "Bonjour"}))
    return file


def test_a_folder_without_its_pickles(tmp_path: Path) -> None:
    source = text_classification(tmp_path / "tiny") / "weights"
    (source / "pytorch_model.bin").write_bytes(b"a pickle")
    load(str(experiment(tmp_path, str(source)))).run(tmp_path / "mine")
    description = json.loads((tmp_path / "mine" / "artifact.json").read_text())
    assert (description["task"], description["labels"]) == ("text-classification", ["de", "en", "fr"])
    kept = {path.name for path in (tmp_path / "mine" / "weights").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer_config.json"} <= kept
    assert "pytorch_model.bin" not in kept


def test_a_folder_of_pickles_alone(tmp_path: Path) -> None:
    source = text_classification(tmp_path / "tiny") / "weights"
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    with pytest.raises(ExperimentError, match="no safetensors weights"):
        load(str(experiment(tmp_path, str(source)))).run(tmp_path / "mine")


def test_a_hub_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ExperimentError, match="owner/name cannot be fetched"):
        load(str(experiment(tmp_path, "owner/name"))).run(tmp_path / "mine")
