"""Small models of transformers with random weights, saved as folders with their image processors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

# Its configurations take more than their signatures say.
t: Any = transformers
LABELS = ["wall", "chair", "cat", "dog", "lamp"]
NUMBERS = dict(enumerate(LABELS))
NAMES = {"id2label": NUMBERS, "label2id": {label: index for index, label in NUMBERS.items()}}
TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, **NAMES}
SQUARE = {"height": 64, "width": 64}
Made = tuple[nn.Module, Any]


def vit() -> Made:
    config = t.ViTConfig(image_size=64, patch_size=16, **TINY)
    return t.ViTForImageClassification(config), t.ViTImageProcessor(size=SQUARE, resample=3)


def swin() -> Made:
    config = t.SwinConfig(image_size=64, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4, **NAMES)
    return t.SwinForImageClassification(config), t.ViTImageProcessor(size=SQUARE, image_mean=[0.4] * 3)


def convnext() -> Made:
    config = t.ConvNextConfig(hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], **NAMES)
    return t.ConvNextForImageClassification(config), t.ConvNextImageProcessor(size={"shortest_edge": 96})


def dinov2() -> Made:
    config = t.Dinov2Config(image_size=56, patch_size=14, **TINY)
    processor = t.BitImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 56, "width": 56})
    return t.Dinov2ForImageClassification(config), processor


def several_labels() -> Made:
    config = t.ViTConfig(image_size=64, patch_size=16, problem_type="multi_label_classification", **TINY)
    return t.ViTForImageClassification(config), t.ViTImageProcessor(size=SQUARE, do_normalize=False)


CLASSIFIERS: dict[str, Callable[[], Made]] = {
    maker.__name__: maker for maker in (vit, swin, convnext, dinov2, several_labels)
}


def save(made: Made, folder: Path) -> Path:
    model, processor = made
    spread(model)
    network: Any = model
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def spread(model: nn.Module) -> None:
    """Larger random weights than those of an initialisation, with which all images have nearly the same answer."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            nn.init.normal_(module.weight, std=1.5 / module.weight[0].numel() ** 0.5)


def detr() -> Made:
    backbone = t.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1], out_features=["stage4"]
    )
    config = t.DetrConfig(
        backbone_config=backbone,
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_queries=9,
        **NAMES,
    )
    return t.DetrForObjectDetection(config), t.DetrImageProcessor(size={"shortest_edge": 64, "longest_edge": 100})


def detr_padded() -> Made:
    """All images on a canvas of one size, with a mask of what is image."""
    model, _ = detr()
    size = {"shortest_edge": 64, "longest_edge": 100}
    return model, t.DetrImageProcessor(size=size, pad_size={"height": 100, "width": 100})


def rt_detr() -> Made:
    backbone = t.RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = t.RTDetrConfig(
        backbone_config=backbone,
        encoder_hidden_dim=32,
        encoder_in_channels=[8, 16, 16],
        encoder_ffn_dim=32,
        encoder_attention_heads=2,
        d_model=32,
        decoder_in_channels=[32, 32, 32],
        decoder_ffn_dim=32,
        decoder_layers=1,
        decoder_attention_heads=2,
        num_queries=12,
        **NAMES,
    )
    return t.RTDetrForObjectDetection(config), t.RTDetrImageProcessor(size={"height": 96, "width": 96})


def yolos() -> Made:
    config = t.YolosConfig(image_size=[64, 96], patch_size=16, num_detection_tokens=8, **TINY)
    return t.YolosForObjectDetection(config), t.YolosImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})


DETECTORS: dict[str, Callable[[], Made]] = {maker.__name__: maker for maker in (detr, detr_padded, rt_detr, yolos)}


def segformer() -> Made:
    config = t.SegformerConfig(
        hidden_sizes=[8, 16, 16, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        **NAMES,
    )
    return t.SegformerForSemanticSegmentation(config), t.SegformerImageProcessor(size={"height": 64, "width": 96})


def mask2former() -> Made:
    backbone = t.SwinConfig(
        image_size=64,
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = t.Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=32,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=32,
        num_queries=7,
        **NAMES,
    )
    processor = t.Mask2FormerImageProcessor(size={"shortest_edge": 64, "longest_edge": 128}, size_divisor=32)
    return t.Mask2FormerForUniversalSegmentation(config), processor


SEGMENTERS: dict[str, Callable[[], Made]] = {maker.__name__: maker for maker in (segformer, mask2former)}
