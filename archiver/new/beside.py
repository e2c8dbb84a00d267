"""Reads files next to the weights: class names and image preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archiver.errors import ArchiverError
from archiver.new.findings import Setting
from archiver.new.labels import read as read_labels
from archiver.reading import read_json
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import PROCESSOR

LABELS = ("labels.txt", "labels.json", "classes.txt", "classes.json", "class_names.txt", "names.txt", "id2label.json")
INTERPOLATIONS = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
# In torchvision's Keypoint R-CNN, one for each keypoint; in its detectors of two stages, one for each class.
KEYPOINTS = "roi_heads.keypoint_predictor.kps_score_lowres.bias"
CLASSES = "roi_heads.box_predictor.cls_score.bias"
# Keys of an image processor for steps that the project's transform does not support.
UNKNOWN = ("rescale_offset", "do_flip_channel_order", "crop_pct", "do_pad")


def labels_of(weights: Path, classes: int | None) -> tuple[list[str], str]:
    """(names, file name) from the first file next to the weights whose number of names equals the classes."""
    for name in LABELS:
        file = weights.parent / name
        try:
            found = read_labels(file) if file.is_file() else []
        except ArchiverError:
            continue  # a file of another kind with a common name
        if found and classes in (None, len(found)):
            return found, name
    return [], ""


def transform_of(weights: Path, size: tuple[int, int] | None) -> Setting:
    """The `preprocessing` of an image model, from a processor's file next to it, or as usual for ImageNet models."""
    file = weights.parent / PROCESSOR
    if file.is_file():
        try:
            values = read_json(file)
        except UnsafeFile:
            values = None
        if isinstance(values, dict) and not any(values.get(key) for key in UNKNOWN):
            return Setting("preprocessing", translated(values, size), PROCESSOR)
    height, width = size or (224, 224)
    return Setting("preprocessing", {"resize": [height, width], **IMAGENET}, "assumed: ImageNet's", certain=False)


def preprocessing_of(weights: Path, task: str) -> tuple[list[Setting], list[str]]:
    """(settings, what the user has to fill in) for weights without information about preprocessing."""
    if task in ("image-classification", "image-embedding", "semantic-segmentation"):
        return [transform_of(weights, None)], []
    if task == "depth-estimation":
        return [depth_transform(None)], []
    if task in ("object-detection", "instance-segmentation"):
        # torchvision's detectors have theirs built in; exports with raw outputs define their own.
        return [], []
    if task == "keypoint-detection":
        return [], ["preprocessing: {keypoints: [the name of each]}"]
    if task.startswith("audio-"):
        values = {"sample_rate": 16_000, "seconds": 1.0}
        return [Setting("preprocessing", values, "assumed: 16 kHz, windows of a second", certain=False)], []
    if task == "voice-activity":
        return [], ["preprocessing: {sample_rate: Hz, frame: samples for each probability}"]
    return [], ["preprocessing: {observation: {shape, low, high}, action: {kind, …}}, as docs/policies.md has it"]


def keypoints_of(count: int) -> Setting:
    """The names of so many keypoints: COCO's if that has as many, otherwise placeholders."""
    from torchvision.models import get_model_weights

    names = list(next(iter(get_model_weights("keypointrcnn_resnet50_fpn"))).meta["keypoint_names"])
    if len(names) == count:
        return Setting("preprocessing", {"keypoints": names}, "assumed: COCO's", certain=False)
    names = [f"keypoint {index}" for index in range(count)]
    return Setting("preprocessing", {"keypoints": names}, "placeholders, the weights have no names", certain=False)


def depth_transform(size: tuple[int, int] | None) -> Setting:
    """The preprocessing of DPT models, whose output is higher for nearer points."""
    values = {"size": list(size or (384, 384)), "kind": "relative", "nearer": "higher"}
    return Setting("preprocessing", values, "assumed: as for DPT", certain=False)


def translated(values: dict[str, Any], size: tuple[int, int] | None) -> dict[str, Any]:
    """An image processor's settings, translated to the project's transform."""
    found = values.get("size")
    sizes = found if isinstance(found, dict) else {"height": found, "width": found} if isinstance(found, int) else {}
    if "shortest_edge" in sizes:
        resize: Any = sizes["shortest_edge"]
    else:
        resize = [sizes.get("height", (size or (224, 224))[0]), sizes.get("width", (size or (224, 224))[1])]
    settings: dict[str, Any] = {"resize": resize}
    crop = values.get("crop_size")
    if values.get("do_center_crop") and crop:
        settings["crop"] = [crop["height"], crop["width"]] if isinstance(crop, dict) else [crop, crop]
    settings["interpolation"] = INTERPOLATIONS.get(values.get("resample", 2), "bilinear")
    plain = not values.get("do_normalize", True)
    mean = [0.0] * 3 if plain else list(values.get("image_mean") or IMAGENET["mean"])
    std = [1.0] * 3 if plain else list(values.get("image_std") or IMAGENET["std"])
    # Unscaled mean and deviation refer to levels up to 255; the transform's refer to images in [0, 1].
    scale = 1.0 if not values.get("do_rescale", True) else 255 * values.get("rescale_factor", 1 / 255)
    factor = scale / 255 if not values.get("do_rescale", True) else scale
    return {**settings, "mean": [round(m / factor, 8) for m in mean], "std": [round(s / factor, 8) for s in std]}
