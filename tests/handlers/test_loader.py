"""The type of the weights of Hugging Face folders, by device and task."""

from pathlib import Path

import pytest
import torch
from transformers import (
    ByT5Tokenizer,
    ConvNextConfig,
    ConvNextForImageClassification,
    ConvNextImageProcessorPil,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
)

from handlers.artifact import Artifact
from handlers.loader import from_huggingface

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


def images() -> PreTrainedModel:
    return ConvNextForImageClassification(ConvNextConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1]))


def texts() -> PreTrainedModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=16, n_embd=8, n_layer=1, n_head=1, n_positions=8))


def artifact(model: PreTrainedModel, task: str, folder: Path) -> Artifact:
    """With weights in half precision, as many folders of the hub have them."""
    for part in (model.half(), ConvNextImageProcessorPil() if task.startswith("image") else ByT5Tokenizer()):
        part.save_pretrained(folder)
    return Artifact("half", task, "huggingface", folder, None, [], {}, folder / "none", folder / "none")


@pytest.mark.parametrize(
    ("device", "task", "dtype"),
    [
        (CPU, "image-classification", torch.float32),
        (CPU, "text-generation", torch.float32),
        (GPU, "image-classification", torch.float32),
        (GPU, "text-generation", torch.float16),
    ],
)
def test_weights_keep_their_type_where_inputs_have_none(
    tmp_path: Path, device: torch.device, task: str, dtype: torch.dtype
) -> None:
    """Pixels are float32, which a convolution in half precision refuses. Nothing is moved to the device yet."""
    model = from_huggingface(artifact(images() if task.startswith("image") else texts(), task, tmp_path), device)
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    if task.startswith("image"):
        assert model(torch.rand(1, 3, 32, 32)).logits.dtype is torch.float32
