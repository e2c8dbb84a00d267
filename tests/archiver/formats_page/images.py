"""Hugging Face folders of models for images, beside transformers' own pipelines and processors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoImageProcessor, AutoModel, AutoModelForSemanticSegmentation, pipeline
from transformers import AutoModelForUniversalSegmentation as Universal

from tests import tiny_transformers, tiny_vision
from tests.archiver.formats_page.case import (
    EVERY_BOX,
    IMAGE,
    PNG,
    Case,
    Made,
    Request,
    best,
    depths,
    detected,
    embedding,
    largest,
    largest_of,
    ranked,
    unit,
)

CANDIDATES = ["a cat", "a dog"]
CHOICE = Request(PNG.body, PNG.content_type, {"labels": ",".join(CANDIDATES)})
LABELS = tiny_transformers.LABELS


def folder(maker: Callable[[], tiny_transformers.Made]) -> Callable[[Path], Path]:
    return lambda root: tiny_transformers.save(maker(), root / "FOLDER")


def tiny(name: str) -> Callable[[Path], Path]:
    return lambda root: tiny_vision.source(name, root / "FOLDER")


def by_pipeline(task: str, write: Callable[[Path], Path], read: Callable[[Any], str], **options: Any) -> Made:
    def make(root: Path) -> Callable[[], str]:
        path = write(root)
        return lambda: read(pipeline(task, model=str(path))(IMAGE, **options))  # type: ignore[call-overload]

    return make


def masks(kind: Any, maker: Callable[[], tiny_transformers.Made]) -> Made:
    def make(root: Path) -> Callable[[], str]:
        path = folder(maker)(root)

        def answer() -> str:
            processor = AutoImageProcessor.from_pretrained(path)
            outputs = kind.from_pretrained(path).eval()(**processor(images=IMAGE, return_tensors="pt"))
            size = (IMAGE.height, IMAGE.width)
            [classes] = processor.post_process_semantic_segmentation(outputs, target_sizes=[size])
            return largest_of(LABELS, classes.numpy())

        return answer

    return make


def clip_tower(root: Path) -> Callable[[], str]:
    path = tiny("clip")(root)

    def answer() -> str:
        inputs = AutoImageProcessor.from_pretrained(path)(images=IMAGE, return_tensors="pt")
        features: torch.Tensor = AutoModel.from_pretrained(path).eval().get_image_features(**inputs).pooler_output
        return unit(features.numpy())

    return answer


def classifier(model: str, maker: Callable[[], tiny_transformers.Made]) -> Case:
    task = "image-classification"
    return row(model, task, by_pipeline(task, folder(maker), ranked), best)


def detector(model: str, maker: Callable[[], tiny_transformers.Made]) -> Case:
    task = "object-detection"
    return row(model, task, by_pipeline(task, folder(maker), ranked, threshold=0.0), detected, EVERY_BOX)


def depth(model: str, name: str) -> Case:
    task = "depth-estimation"
    make = by_pipeline(
        task, tiny(name), lambda a: depths(float(a["predicted_depth"].min()), float(a["predicted_depth"].max()))
    )
    return row(model, task, make, lambda answer: depths(answer["minimum"], answer["maximum"]))


def zero_shot(model: str, name: str) -> Case:
    task = "zero-shot-image-classification"
    return row(model, task, by_pipeline(task, tiny(name), ranked, candidate_labels=CANDIDATES), best, CHOICE)


def row(model: str, task: str, make: Made, read: Any, request: Request = PNG, arguments: str = "FOLDER") -> Case:
    return Case(f"Hugging Face folder, {model}", task, arguments, "transformers", make, read, request)


SEMANTIC, EMBED = "semantic-segmentation", "image-embedding"
CASES = [
    classifier("ViT", tiny_transformers.vit),
    classifier("Swin", tiny_transformers.swin),
    classifier("ConvNeXt", tiny_transformers.convnext),
    classifier("ViT of several labels", tiny_transformers.several_labels),
    row("DINOv2", EMBED, by_pipeline("image-feature-extraction", tiny("dinov2"), unit, pool=True), embedding),
    row("CLIP", EMBED, clip_tower, embedding, arguments=f"FOLDER --task {EMBED}"),
    zero_shot("CLIP", "clip"),
    zero_shot("SigLIP", "siglip"),
    detector("DETR", tiny_transformers.detr),
    detector("RT-DETR", tiny_transformers.rt_detr),
    detector("YOLOS", tiny_transformers.yolos),
    row("SegFormer", SEMANTIC, masks(AutoModelForSemanticSegmentation, tiny_transformers.segformer), largest),
    row("Mask2Former", SEMANTIC, masks(Universal, tiny_transformers.mask2former), largest),
    depth("DPT", "dpt"),
    depth("Depth Anything", "depth-anything"),
    depth("GLPN", "glpn"),
]
