"""Tiny Hugging Face folders for images, with random weights, as the experiment makes artifacts of them."""

from pathlib import Path
from typing import Any

import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BaseImageProcessor,
    BitImageProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    ConvNextConfig,
    ConvNextImageProcessor,
    ConvNextModel,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    Dinov2Model,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessor,
    GLPNConfig,
    GLPNForDepthEstimation,
    GLPNImageProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
)

from tests import tiny_networks
from train.core.artifact import Artifact
from train.export.huggingface import HuggingFace, Task

SIDE = 32
LAYERS: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "initializer_range": 0.3,  # answers that differ from image to image
}
VISION: dict[str, Any] = {**LAYERS, "image_size": SIDE, "patch_size": 8}
SPECIAL = ["<pad>", "<start>", "<end>"]


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A token for each byte, and one at either end of a text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate([*SPECIAL, *alphabet])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    roles = dict(zip(("pad_token", "bos_token", "eos_token"), SPECIAL, strict=True))
    inputs = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=inputs, **roles)


def texts(positions: int) -> dict[str, Any]:
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    return {**LAYERS, **ids, "vocab_size": 259, "max_position_embeddings": positions}


def clip() -> tuple[PreTrainedModel, BaseImageProcessor, PreTrainedTokenizerFast]:
    configuration = CLIPConfig(text_config=texts(77), vision_config=VISION, projection_dim=16)
    return CLIPModel(configuration), clip_processor(), byte_tokenizer()


def clip_processor() -> CLIPImageProcessor:
    return CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})


def siglip() -> tuple[PreTrainedModel, BaseImageProcessor, PreTrainedTokenizerFast]:
    model = SiglipModel(SiglipConfig(text_config=texts(64), vision_config=VISION))
    return model, SiglipImageProcessor(size={"height": SIDE, "width": SIDE}), byte_tokenizer()


def clip_vision() -> tuple[PreTrainedModel, BaseImageProcessor, None]:
    return CLIPVisionModel(CLIPVisionConfig(**VISION)), clip_processor(), None


def dinov2() -> tuple[PreTrainedModel, BaseImageProcessor, None]:
    processor = BitImageProcessor(size={"shortest_edge": 37}, crop_size={"height": SIDE, "width": SIDE})
    return Dinov2Model(Dinov2Config(**VISION)), processor, None


def vit() -> tuple[PreTrainedModel, BaseImageProcessor, None]:
    processor = ViTImageProcessor(size={"height": SIDE, "width": SIDE})
    return ViTModel(ViTConfig(**VISION), add_pooling_layer=True), processor, None


def convnext() -> tuple[PreTrainedModel, BaseImageProcessor, None]:
    model = ConvNextModel(ConvNextConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], initializer_range=0.3))
    return model, ConvNextImageProcessor(size={"shortest_edge": 64}), None


def dpt() -> tuple[PreTrainedModel, BaseImageProcessor, None]:
    configuration = DPTConfig(
        **{**VISION, "num_hidden_layers": 4},
        is_hybrid=False,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8,
    )
    return DPTForDepthEstimation(configuration), DPTImageProcessor(size={"height": SIDE, "width": SIDE}), None


def depth_anything(kind: str = "relative") -> tuple[PreTrainedModel, BaseImageProcessor, None]:
    stages = ["stage1", "stage2", "stage3", "stage4"]
    layers = {**VISION, "num_hidden_layers": 4, "patch_size": 14, "image_size": 56, "out_features": stages}
    configuration = DepthAnythingConfig(
        backbone_config=Dinov2Config(**layers, reshape_hidden_states=False),
        reassemble_hidden_size=32,
        patch_size=14,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8,
        head_hidden_size=8,
        depth_estimation_type=kind,
        max_depth=80 if kind == "metric" else 1,
    )
    size = {"height": 56, "width": 56}
    processor = DPTImageProcessor(size=size, keep_aspect_ratio=True, ensure_multiple_of=14)
    torch.manual_seed(0)
    model = DepthAnythingForDepthEstimation(configuration)
    with torch.no_grad():
        model.head.conv3.weight.mul_(1e6)  # as initialised, all depths would be the same to the millimetre
    return model, processor, None


def metric_depth_anything() -> tuple[PreTrainedModel, BaseImageProcessor, None]:
    return depth_anything("metric")


def glpn() -> tuple[PreTrainedModel, BaseImageProcessor, None]:
    configuration = GLPNConfig(
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        mlp_ratios=[2, 2, 2, 2],
        decoder_hidden_size=8,
        initializer_range=0.3,
    )
    return GLPNForDepthEstimation(configuration), GLPNImageProcessor(do_normalize=False), None


DEPTHS = {"dpt": dpt, "depth-anything": depth_anything, "metric": metric_depth_anything, "glpn": glpn}
TOWERS = {"convnext": convnext, "clip-vision": clip_vision, "dinov2": dinov2, "vit": vit}
SOURCES = {**DEPTHS, **TOWERS, "clip": clip, "siglip": siglip}


def source(name: str, folder: Path) -> Path:
    """A folder of `save_pretrained`, with weights that let outputs depend on inputs."""
    torch.manual_seed(0)
    model, processor, tokenizer = SOURCES[name]()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return folder


def artifact(name: str, task: Task, folder: Path, **over: Any) -> Path:
    """Through the experiment that fetches a hub's repository, from a local one beside `folder`."""
    repository = source(name, folder.with_name(f"{folder.name}-source"))
    HuggingFace(name=folder.name, system="huggingface", repository=str(repository), task=task, **over).run(folder)
    return folder


def photograph(folder: Path) -> Path:
    """Beside the artifact's folder, a sample for it."""
    path = folder.with_name("china.jpg")
    Image.fromarray(load_sample_image("china.jpg")).resize((320, 214)).save(path)
    return path


def image_embedding(folder: Path) -> Path:
    return artifact("dinov2", "image-embedding", folder)


def zero_shot(folder: Path) -> Path:
    return artifact("clip", "zero-shot-image-classification", folder, labels=["a temple", "a flower", "a street"])


def depth(folder: Path) -> Path:
    return artifact("metric", "depth-estimation", folder)


def keypoints(folder: Path) -> Path:
    torch.manual_seed(0)
    return Artifact(
        name="tiny-keypoints",
        task="keypoint-detection",
        format="safetensors",
        labels=["__background__", "person"],
        architecture={"factory": "tiny_networks.keypoint_rcnn", "arguments": {"classes": 2, "keypoints": 4}},
        preprocessing={"keypoints": ["head", "left", "right", "foot"], "skeleton": [[0, 1], [0, 2], [1, 3]]},
    ).write(folder, tiny_networks.keypoint_rcnn(2, 4).state_dict(), photograph(folder))
