"""A Hugging Face folder as an artifact: what a hub repository is once it has been fetched."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from tests.tiny_artifacts import text_classification
from tests.tiny_audio import commands, sound
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


@pytest.mark.parametrize(
    ("make", "task", "labels"),
    [(commands, "audio-classification", ["yes", "no", "up"]), (sound, "audio-embedding", [])],
)
def test_a_folder_for_recordings(make: Callable[[Path], Path], task: str, labels: list[str], tmp_path: Path) -> None:
    folder = make(tmp_path / "made")
    description = json.loads((folder / "artifact.json").read_text())
    assert (description["task"], description["labels"]) == (task, labels)
    assert description["preprocessing"] == {"sample_rate": 16_000, "seconds": 1.0}
    samples, rate = soundfile.read(folder / description["sample"])
    assert 0.3 < len(samples) / rate < 3
    assert (folder / "weights" / "preprocessor_config.json").is_file()


def test_a_text_model_for_recordings(tmp_path: Path) -> None:
    source = text_classification(tmp_path / "tiny") / "weights"
    file = experiment(tmp_path, str(source))
    with pytest.raises(ExperimentError, match="has no feature extractor for audio-classification"):
        load(str(file), ["task=audio-classification"]).run(tmp_path / "mine")


def test_a_hub_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ExperimentError, match="owner/name cannot be fetched"):
        load(str(experiment(tmp_path, "owner/name"))).run(tmp_path / "mine")
