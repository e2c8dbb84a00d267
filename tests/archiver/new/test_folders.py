"""Hugging Face folders as people have them: in shards, pickled, with a tokenizer.json alone, of an adapter."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import pipeline
from typer.testing import CliRunner, Result

from archiver.errors import SpecError
from archiver.new.command import app
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import check
from tests.handlers.worker import Worker
from tests.new_models import new, served
from tests.tiny_texts import LINES

INDEX, PICKLED_INDEX = "model.safetensors.index.json", "pytorch_model.bin.index.json"


def pickled(folder: Path) -> Path:
    """The same as older versions of transformers wrote it."""
    index = json.loads((folder / INDEX).read_text())
    rename = {name: f"pytorch_{name.removesuffix('safetensors')}bin" for name in index["weight_map"].values()}
    for shard, name in rename.items():
        torch.save(load_file(folder / shard), folder / name)
        (folder / shard).unlink()
    (folder / INDEX).unlink()
    index["weight_map"] = {tensor: rename[shard] for tensor, shard in index["weight_map"].items()}
    (folder / PICKLED_INDEX).write_text(json.dumps(index))
    return folder


def as_one_pickle(folder: Path) -> Path:
    pickled(folder)
    state: dict[str, torch.Tensor] = {}
    for shard in sorted(folder.glob("*.bin")):
        state |= torch.load(shard, weights_only=True)
        shard.unlink()
    (folder / PICKLED_INDEX).unlink()
    state["bert.pooler.tied"] = state["bert.pooler.dense.weight"]  # two names for one tensor's memory
    del state["bert.pooler.dense.weight"]
    state["bert.pooler.dense.weight"] = state.pop("bert.pooler.tied")
    torch.save(state, folder / "pytorch_model.bin")
    return folder


def with_other_weights(folder: Path) -> Path:
    """As repositories have them that hold a model in its author's own form too."""
    save_file({"tok_embeddings.weight": torch.zeros(2)}, folder / "consolidated.safetensors")
    return folder


def as_index(folder: Path) -> Path:
    return folder / INDEX


def compare(worker: Worker, made: tuple[Any, Any]) -> None:
    """Its answers with those of the library's pipeline."""
    classify: Any = pipeline("text-classification", model=made[0], tokenizer=made[1], top_k=None)
    answers = worker.json(*({"body": line.encode()} for line in LINES))
    for found, expected in zip(answers, classify(LINES), strict=True):
        wanted = {each["label"]: each["score"] for each in expected}
        assert {each["label"]: each["probability"] for each in found["predictions"]} == pytest.approx(wanted, abs=1e-5)


FORMS: dict[str, Callable[[Path], Path]] = {
    "shards": lambda folder: folder,
    "their index": as_index,
    "shards beside other weights": with_other_weights,
    "pickled shards": pickled,
    "one pickle": as_one_pickle,
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_answers_as_the_library_does(form: str, folder: Path, made: tuple[Any, Any], tmp_path: Path) -> None:
    worker = served(FORMS[form](folder), tmp_path / "model")
    compare(worker, made)
    assert not list(worker.handler.artifact.weights.glob("*.bin"))
    assert not (worker.handler.artifact.weights / "consolidated.safetensors").exists()


Damage = Callable[[Path, list[str]], Any]


def rewritten(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """Of the index's weight_map."""

    def apply(folder: Path, shards: list[str]) -> None:
        index = json.loads((folder / INDEX).read_text())
        change(index["weight_map"])
        (folder / INDEX).write_text(json.dumps(index))

    return apply


def duplicated(folder: Path, shards: list[str]) -> None:
    tensors = load_file(folder / shards[0])
    save_file({**load_file(folder / shards[1]), next(iter(tensors)): torch.zeros(1)}, folder / shards[1])


DAMAGES: dict[str, tuple[Damage, str]] = {
    "missing": (lambda folder, shards: (folder / shards[1]).unlink(), r"names 'model-00002-of-\d+.safetensors', which"),
    "renamed": (
        lambda folder, shards: (folder / shards[1]).rename(folder / "part.safetensors"),
        "names 'model-00002-of-.* is missing",
    ),
    "one more": (
        lambda folder, shards: shutil.copy(folder / shards[0], folder / "model-00001-of-00099.safetensors"),
        "model-00001-of-00099.safetensors is a shard that .* does not name",
    ),
    "a copy of another": (
        lambda folder, shards: shutil.copy(folder / shards[0], folder / shards[1]),
        "is in two shards, model-00001-of-.* and model-00002-of",
    ),
    "with a tensor of another": (duplicated, "is in two shards"),
    "exchanged": (
        lambda folder, shards: [
            (folder / a).rename(folder / b) for a, b in ((shards[0], "x"), (shards[1], shards[0]), ("x", shards[1]))
        ],
        "has '.*' in model-00001-of-.*; it is in model-00002-of",
    ),
    "cut off": (lambda folder, shards: (folder / shards[1]).write_bytes(b"\0" * 9), "model-00002.* is not safetensors"),
    "outside": (rewritten(lambda found: found.update(x="../model.safetensors")), "names '../model.safetensors', which"),
    "absolute": (rewritten(lambda found: found.update(x="/etc/x.safetensors")), "names '/etc/x.safetensors', which is"),
    "a number": (rewritten(lambda found: found.update(x=3)), "names '3', which is not the name"),
    "a tensor too many": (
        rewritten(lambda found: found.update(x=next(iter(found.values())))),
        "has 'x' in model-0000.-of-.*; it is in none",
    ),
    "of nothing": (rewritten(lambda found: found.clear()), "wanted weight_map, an object"),
    "without an index": (lambda folder, shards: (folder / INDEX).unlink(), f"has model-00001-.*, but no {INDEX}"),
    "beside whole weights": (
        lambda folder, shards: shutil.copy(folder / shards[0], folder / "model.safetensors"),
        "has both model.safetensors and",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_shards_that_are_not_the_indexes(damage: str, folder: Path, tmp_path: Path) -> None:
    change, message = DAMAGES[damage]
    change(folder, sorted(path.name for path in folder.glob("model-*")))
    with pytest.raises(UnsafeFile, match=message) as refused:
        check(folder, "text-classification")
    assert len(str(refused.value)) < 300
    assert "\n" not in str(refused.value)
    with pytest.raises(SpecError, match=message):
        new(folder, tmp_path / "refused")


PICKLES: dict[str, tuple[Damage, str]] = {
    "missing": (
        lambda folder, shards: (folder / shards[1]).unlink(),
        r"names 'pytorch_model-00002.*, which is missing",
    ),
    "without an index": (lambda folder, shards: (folder / PICKLED_INDEX).unlink(), "nor an index of their shards"),
    "an object": (
        lambda folder, shards: torch.save(torch.nn.Linear(1, 1), folder / shards[1]),
        r"is a pickle that makes objects of torch\.nn\.modules\.linear\.Linear",
    ),
    "a copy of another": (
        lambda folder, shards: shutil.copy(folder / shards[0], folder / shards[1]),
        "is in two shards, pytorch_model-00001-of",
    ),
}


@pytest.mark.parametrize("damage", PICKLES)
def test_pickled_shards_that_are_not_the_indexes(damage: str, folder: Path, tmp_path: Path) -> None:
    change, message = PICKLES[damage]
    change(pickled(folder), sorted(path.name for path in folder.glob("pytorch_model-*")))
    with pytest.raises(SpecError, match=message):
        new(folder, tmp_path / "refused")


def test_an_adapter_names_its_base_and_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    config = {"peft_type": "LORA", "task_type": "SEQ_CLS", "base_model_name_or_path": "google-bert/bert-base-cased"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_file({"base_model.model.x.lora_A.weight": torch.zeros(1)}, folder / "adapter_model.safetensors")
    message = "a LoRA adapter for google-bert/bert-base-cased.*AutoPeftModelForSequenceClassification.*merge_and_unload"
    for weights in (folder, folder / "adapter_model.safetensors"):
        with pytest.raises(SpecError, match=message):
            new(weights, tmp_path / f"refused-{weights.name}")


def command(weights: Path, root: Path) -> Result:
    options = {"--weights": weights, "--artifacts": root / "artifacts", "--specs": root / "specs"}
    return CliRunner().invoke(app, ["model", *(str(part) for option in options.items() for part in option)])


def test_weights_that_are_refused_leave_nothing_behind(folder: Path, tmp_path: Path) -> None:
    """The name is free until the right ones are found."""
    shutil.copytree(folder, tmp_path / "whole")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    result = command(folder, tmp_path)
    assert result.exit_code == 2
    assert "has no tokenizer; add it" in result.stderr
    assert command(tmp_path / "whole", tmp_path).exit_code == 0


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("Owlv2ForObjectDetection", "its architecture Owlv2ForObjectDetection needs a text with each image"),
        ("OneFormerForUniversalSegmentation", "OneFormerForUniversalSegmentation needs a text with each image"),
        ("VisionEncoderDecoderModel", "its architecture VisionEncoderDecoderModel is not served; wanted"),
        ("VitPoseForPoseEstimation", "its architecture VitPoseForPoseEstimation is not served; wanted"),
    ],
)
def test_architectures_that_no_task_serves(architecture: str, message: str, tmp_path: Path) -> None:
    """Though the names of the first three end like those of others, and their folders have image processors."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "ViTImageProcessor"}))
    save_file({"weight": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(SpecError, match=message):
        new(folder, tmp_path / "refused")
