"""Tiny artifacts for recordings: Hugging Face folders with random weights, and Silero VAD's real ones."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2Model,
)

from handlers.networks.keyword_spotting import KeywordSpotting
from tests.inputs import noise, recording
from train.core.artifact import Artifact
from train.export.huggingface import HuggingFace, Task
from train.export.silero_vad import SileroVAD

LABELS = ["yes", "no", "up"]
CONFIGURATION: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": (8, 8, 8),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (5, 4, 4),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 8,
    "id2label": dict(enumerate(LABELS)),
    "label2id": {label: index for index, label in enumerate(LABELS)},
}


def commands(folder: Path) -> Path:
    return wav2vec2(folder, Wav2Vec2ForSequenceClassification, "audio-classification", "tiny-commands")


def sound(folder: Path) -> Path:
    return wav2vec2(folder, Wav2Vec2Model, "audio-embedding", "tiny-sound")


def wav2vec2(folder: Path, kind: type[PreTrainedModel], task: Task, name: str) -> Path:
    """Through the experiment that fetches a hub's repository, from a folder of `save_pretrained`."""
    torch.manual_seed(0)
    source = folder.with_name("wav2vec2")
    model = kind(Wav2Vec2Config(**CONFIGURATION))
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)  # as initialised its outputs hardly depend on its input
    model.save_pretrained(source)
    Wav2Vec2FeatureExtractor(sampling_rate=16_000, do_normalize=True).save_pretrained(source)
    HuggingFace(
        name=name, system="huggingface", repository=str(source), task=task, seconds=1.0, sample="Yes, please."
    ).run(folder)
    return folder


def voice(folder: Path) -> Path:
    SileroVAD(name="tiny-voice", system="silero-vad").run(folder)
    return folder


def keywords(folder: Path) -> Path:
    """The demo's network, whose part after the features has a faster form."""
    torch.manual_seed(0)
    network = KeywordSpotting(3)
    sample = folder.with_name("second.wav")
    sample.write_bytes(recording(noise(1.0, 0)))
    return Artifact(
        name="tiny-keywords",
        task="audio-classification",
        format="safetensors",
        labels=["zero", "one", "two"],
        architecture={"factory": "handlers.networks.keyword_spotting.KeywordSpotting", "arguments": {"classes": 3}},
        preprocessing={"sample_rate": 16_000, "seconds": 1.0},
    ).write(folder, network.state_dict(), sample)
