"""One tiny artifact for each task, with random weights: real files in every format, made in about a second."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchvision
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, ByT5Tokenizer

from handlers.vision.transform import ImageTransform
from tests import tiny_audio, tiny_exports, tiny_networks, tiny_speech, tiny_texts, tiny_vision
from tests.tiny_vision import photograph
from train.core.artifact import Artifact

TRANSFORM = ImageTransform(resize=(96, 96))
NO_WEIGHTS = {"weights": None, "weights_backbone": None}


def image_classification(folder: Path) -> Path:
    arguments = {"weights": None, "num_classes": 3, "width_mult": 0.25}
    model = torchvision.models.mobilenet_v2(**arguments)
    return Artifact(
        name="tiny-image",
        task="image-classification",
        format="safetensors",
        labels=["cat", "dog", "bird"],
        architecture={"factory": "torchvision.models.mobilenet_v2", "arguments": arguments},
        preprocessing=TRANSFORM.to_dict(),
        metrics={"accuracy": 0.33},
    ).write(folder, scaled_state(model), photograph(folder))


def several_labels(folder: Path) -> Path:
    """A classifier of which any number of the classes can apply."""
    arguments = {"weights": None, "num_classes": 4, "width_mult": 0.25}
    model = torchvision.models.mobilenet_v2(**arguments)
    return Artifact(
        name="tiny-labels",
        task="image-classification",
        format="safetensors",
        labels=["sky", "house", "water", "tree"],
        architecture={"factory": "torchvision.models.mobilenet_v2", "arguments": arguments},
        preprocessing={**TRANSFORM.to_dict(), "multi_label": True, "embedding": "flatten"},
    ).write(folder, scaled_state(model), photograph(folder))


def object_detection(folder: Path) -> Path:
    factory = "torchvision.models.detection.ssdlite320_mobilenet_v3_large"
    arguments = {**NO_WEIGHTS, "num_classes": 3, "detections_per_img": 10}
    model = torchvision.models.detection.ssdlite320_mobilenet_v3_large(**arguments)
    weights = scaled_state(model)
    for name, weight in weights.items():
        if name.startswith("head.classification_head") and weight.shape[2:] == (1, 1):
            weight *= 0.1  # scores of 1.0 would be ties, ordered by rounding
    return Artifact(
        name="tiny-detection",
        task="object-detection",
        format="safetensors",
        labels=["__background__", "circle", "square"],
        architecture={"factory": factory, "arguments": arguments},
    ).write(folder, weights, photograph(folder))


def instance_segmentation(folder: Path) -> Path:
    torch.manual_seed(0)
    model = tiny_networks.mask_rcnn(3)  # as initialised: larger weights would saturate its scores into ties
    return Artifact(
        name="tiny-instance",
        task="instance-segmentation",
        format="safetensors",
        labels=["__background__", "circle", "square"],
        architecture={"factory": "tiny_networks.mask_rcnn", "arguments": {"classes": 3}},
    ).write(folder, model.state_dict(), photograph(folder))


def semantic_segmentation(folder: Path) -> Path:
    arguments = {**NO_WEIGHTS, "num_classes": 3}
    model = torchvision.models.segmentation.lraspp_mobilenet_v3_large(**arguments)
    return Artifact(
        name="tiny-semantic",
        task="semantic-segmentation",
        format="safetensors",
        labels=["background", "circle", "square"],
        architecture={
            "factory": "torchvision.models.segmentation.lraspp_mobilenet_v3_large",
            "arguments": arguments,
        },
        preprocessing=TRANSFORM.to_dict(),
    ).write(folder, scaled_state(model), photograph(folder))


def audio_classification(folder: Path) -> Path:
    weights = folder.with_name("waveform.pt")
    torch.jit.script(tiny_networks.Waveform(3)).save(weights)
    sample = folder.with_name("tone.wav")
    soundfile.write(sample, 0.3 * np.sin(np.arange(22_050) / 20), 22_050, subtype="PCM_16")
    return Artifact(
        name="tiny-audio",
        task="audio-classification",
        format="torchscript",
        labels=["zero", "one", "two"],
        preprocessing={"sample_rate": 16_000, "seconds": 0.5},
    ).write(folder, weights, sample)


def text_classification(folder: Path) -> Path:
    labels = ["de", "en", "fr"]
    configuration = BertConfig(
        vocab_size=384,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        pad_token_id=0,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    weights = folder.with_name("bert")
    BertForSequenceClassification(configuration).save_pretrained(weights)
    ByT5Tokenizer().save_pretrained(weights)
    sample = folder.with_name("sentence.txt")
    sample.write_text("Where is the station?", encoding="utf-8")
    return Artifact(
        name="tiny-text",
        task="text-classification",
        format="huggingface",
        labels=labels,
        preprocessing={"max_length": 64},
    ).write(folder, weights, sample)


def exported(folder: Path, model: nn.Module, example: torch.Tensor) -> Path:
    weights = folder.with_name("policy.pt2")
    batch = torch.export.Dim("batch", min=1, max=1024)
    torch.export.save(torch.export.export(model.eval(), (example,), dynamic_shapes=({0: batch},)), weights)
    return weights


def policy(folder: Path) -> Path:
    sample = folder.with_name("observation.json")
    sample.write_text(json.dumps({"data": [0.1, 0.2, 0.3, 0.4]}))
    return Artifact(
        name="tiny-policy",
        task="policy",
        format="torch-export",
        labels=["left", "right"],
        preprocessing={
            "observation": {"shape": [4], "low": [-4.8, None, -0.42, None], "high": [4.8, None, 0.42, None]},
            "action": {"kind": "discrete", "count": 2},
        },
    ).write(folder, exported(folder, tiny_networks.Discrete(), torch.zeros(2, 4)), sample)


def continuous_policy(folder: Path) -> Path:
    sample = folder.with_name("observation.json")
    sample.write_text(json.dumps({"data": [0.1, 0.2, 0.3]}))
    return Artifact(
        name="tiny-torque",
        task="policy",
        format="torch-export",
        preprocessing={
            "observation": {"shape": [3], "low": [-1, -1, -8], "high": [1, 1, 8]},
            "action": {"kind": "continuous", "low": [-0.25], "high": [0.25]},
        },
    ).write(folder, exported(folder, tiny_networks.Continuous(), torch.zeros(2, 3)), sample)


def q_policy(folder: Path, model: nn.Module | None = None) -> Path:
    sample = folder.with_name("observation.json")
    sample.write_text(json.dumps({"data": [0.1, 0.2]}))
    return Artifact(
        name="tiny-values",
        task="policy",
        format="torch-export",
        labels=["left", "stay", "right"],
        preprocessing={
            "observation": {"shape": [2], "low": None, "high": None},
            "action": {"kind": "discrete", "count": 3, "outputs": "values"},
        },
    ).write(folder, exported(folder, model or tiny_networks.ActionValues(), torch.zeros(2, 2)), sample)


def overflowing(folder: Path) -> Path:
    """A policy whose values are infinite for large observations."""
    return q_policy(folder, tiny_networks.Products())


TINY: dict[str, Callable[[Path], Path]] = {
    "tiny-image": image_classification,
    "tiny-detection": object_detection,
    "tiny-instance": instance_segmentation,
    "tiny-semantic": semantic_segmentation,
    "tiny-labels": several_labels,
    "tiny-vector": tiny_vision.image_embedding,
    "tiny-zero-shot": tiny_vision.zero_shot,
    "tiny-depth": tiny_vision.depth,
    "tiny-keypoints": tiny_vision.keypoints,
    "tiny-yolo": tiny_exports.detection,
    "tiny-pixels": tiny_exports.segmentation,
    "tiny-audio": audio_classification,
    "tiny-keywords": tiny_audio.keywords,
    "tiny-commands": tiny_audio.commands,
    "tiny-sound": tiny_audio.sound,
    "tiny-voice": tiny_audio.voice,
    "tiny-letters": tiny_speech.letters,
    "tiny-whisper": tiny_speech.multilingual,
    "tiny-text": text_classification,
    "tiny-topics": tiny_texts.topics,
    "tiny-embedding": tiny_texts.embedding,
    "tiny-entities": tiny_texts.entities,
    "tiny-answers": tiny_texts.answers,
    "tiny-writer": tiny_texts.writer,
    "tiny-policy": policy,
    "tiny-torque": continuous_policy,
    "tiny-values": q_policy,
}
# For tests of handlers alone: the server of the tests has a worker for each of the others.
UNSERVED: dict[str, Callable[[Path], Path]] = {
    "tiny-masked": tiny_speech.masked_letters,
    "tiny-english": tiny_speech.english,
    "tiny-products": overflowing,
}


def scaled_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state of a model whose batch-norm statistics fit its random weights, so that outputs depend on inputs."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return model.state_dict()
