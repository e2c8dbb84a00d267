"""Finds the network of a state dict, by a given name or by the names and shapes of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver.errors import nearest
from archiver.new.findings import Setting, refused
from handlers.formats import architecture as packed
from handlers.formats import timm_config
from handlers.formats.errors import UnsafeFile

TASKS = {
    "torchvision.models.detection": "object-detection",
    "torchvision.models.segmentation": "semantic-segmentation",
}
# torchvision's detectors with more than boxes, by name prefix.
OF_INSTANCES = {"maskrcnn_": "instance-segmentation", "keypointrcnn_": "keypoint-detection"}
KEYPOINTS = "roi_heads.keypoint_predictor.kps_score_lowres.bias"
TIMM = "timm/"
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Network:
    """factory, arguments: for the spec's `architecture`. classes: number of the last layer's classes. preprocessing: as
    the library defines it for its own weights.
    """

    factory: str
    arguments: dict[str, Any]
    task: str
    classes: int | None
    preprocessing: Setting | None

    @property
    def setting(self) -> Setting:
        return Setting("architecture", {"factory": self.factory, "arguments": self.arguments})


def find(path: Path, shapes: Shapes, given: str | None) -> Network | None:
    """Find the network of these weights; None if none was named and none in torchvision matches.

    Raises SpecError if the weights do not belong to the named network.
    """
    if given is None:
        return next((found for name in candidates() if (found := fitting(name, shapes))), None)
    if given.startswith(TIMM):
        return of_timm(path, given.removeprefix(TIMM), shapes)
    if "." in given:
        return dotted(path, given)
    if given not in candidates():
        raise refused(path, f"--architecture {given}: torchvision has no such model{nearest(given, candidates())}")
    found = fitting(given, shapes)
    if found is None:
        raise refused(path, f"--architecture {given}: {unlike(given, shapes)}")
    return found


def candidates() -> list[str]:
    """torchvision's models, except video and quantized ones."""
    from torchvision.models import list_models

    return [name for name in list_models() if not name.startswith("quantized_") and in_images(name)]


def in_images(name: str) -> bool:
    from torchvision.models import get_model_builder

    return not get_model_builder(name).__module__.startswith(("torchvision.models.video", "torchvision.models.optical"))


def fitting(name: str, shapes: Shapes) -> Network | None:
    """torchvision's model with the weights' number of classes, if all names and shapes match."""
    from torchvision.models import get_model_builder

    builder = get_model_builder(name)
    module = builder.__module__
    task = next((task for room, task in TASKS.items() if module.startswith(room)), "image-classification")
    task = next((more for start, more in OF_INSTANCES.items() if name.startswith(start)), task)
    for extra in variants(task, shapes):
        arguments = {"weights": None, **extra}
        if task != "image-classification":
            arguments["weights_backbone"] = None
        for classes in class_counts(shapes):
            own = shapes_of(builder, {**arguments, "num_classes": classes})
            if own is None or own.keys() != shapes.keys():
                break  # whatever the number of classes
            if own == shapes:
                arguments["num_classes"] = classes
                preprocessing = torchvision_preset(name, task, extra.get("num_keypoints"))
                return Network(f"{module}.{builder.__name__}", arguments, task, classes, preprocessing)
    return None


def variants(task: str, shapes: Shapes) -> list[dict[str, Any]]:
    if task == "semantic-segmentation" and any(name.startswith("aux_classifier.") for name in shapes):
        return [{"aux_loss": True}]
    if task == "keypoint-detection" and len(shapes.get(KEYPOINTS, ())) == 1:
        return [{"num_keypoints": shapes[KEYPOINTS][0]}]
    return [{}]


def class_counts(shapes: Shapes) -> list[int]:
    """Possible numbers of classes, from the sizes of biases, last layers first."""
    biases = [shape for name, shape in shapes.items() if name.endswith("bias") and len(shape) == 1]
    return list(dict.fromkeys(size for (size,) in reversed(biases) if size))[:8]


def shapes_of(builder: Any, arguments: Mapping[str, Any]) -> dict[str, tuple[int, ...]] | None:
    """Shapes of the network's weights, built without allocating memory; None if that fails."""
    import torch

    try:
        with torch.device("meta"):
            return {name: tuple(value.shape) for name, value in builder(**arguments).state_dict().items()}
    except (TypeError, ValueError, RuntimeError, NotImplementedError):
        return None


def unlike(name: str, shapes: Shapes) -> str:
    from torchvision.models import get_model_builder

    own = shapes_of(get_model_builder(name), {"weights": None}) or {}
    missing = [each for each in own if each not in shapes][:2]
    left_over = [each for each in shapes if each not in own][:2]
    parts = [f"missing {', '.join(missing)}"] * bool(missing) + [f"left over {', '.join(left_over)}"] * bool(left_over)
    return f"the weights do not match: {'; '.join(parts) or 'different shapes'}"


def torchvision_preset(name: str, task: str, keypoints: int | None = None) -> Setting | None:
    """The evaluation transform of torchvision's own weights. Detectors have theirs built in; for keypoints only the
    names are missing.
    """
    from torchvision.models import get_model_weights

    if keypoints:
        names = list(next(iter(get_model_weights(name))).meta["keypoint_names"])
        if len(names) == keypoints:
            return Setting("preprocessing", {"keypoints": names}, "assumed: COCO's", certain=False)
        names = [f"keypoint {index}" for index in range(keypoints)]
        return Setting("preprocessing", {"keypoints": names}, "placeholders, the weights have no names", certain=False)
    if task in ("object-detection", "instance-segmentation"):
        return None
    preset = next(iter(get_model_weights(name))).transforms()
    side = preset.resize_size[0]
    values: dict[str, Any] = {"resize": side if task == "image-classification" else [side, side]}
    if crop := getattr(preset, "crop_size", None):
        values["crop"] = [crop[0], crop[0]]
    values |= {"interpolation": preset.interpolation.value, "mean": list(preset.mean), "std": list(preset.std)}
    return Setting("preprocessing", values, "assumed: that of torchvision's own weights", certain=False)


def of_timm(path: Path, name: str, shapes: Shapes) -> Network:
    """A model from timm's registry."""
    import timm

    known = timm.list_models()
    base = name.partition(".")[0]
    if base not in known:
        raise refused(path, f"--architecture timm/{name}: timm has no such model{nearest(base, known)}")
    for classes in [*class_counts(shapes), 0]:
        own = shapes_of(timm.create_model, {"model_name": base, "pretrained": False, "num_classes": classes})
        if own == dict(shapes):
            arguments = {"model_name": base, "num_classes": classes}
            published = timm.get_pretrained_cfg(name)
            config = published.to_dict() if published else {}
            setting = timm_transform(config, "assumed: timm's for its own weights", certain=False)
            task = "image-classification" if classes else "image-embedding"  # without its head
            return Network("timm.create_model", arguments, task, classes, setting)
    raise refused(path, f"--architecture timm/{name}: the weights do not match")


def timm_transform(config: Mapping[str, Any], source: str, certain: bool = True) -> Setting:
    if other := timm_config.differs(config):
        source, certain = f"{source}; its {other} is not supported", False
    return Setting("preprocessing", timm_config.preprocessing(config), source, certain)


def dotted(path: Path, name: str) -> Network:
    """A class or function by its dotted name, from a library or from a file in the spec's `code`."""
    root = name.partition(".")[0]
    try:
        packed.check({"factory": name}, () if root in packed.LIBRARIES else {root})
    except UnsafeFile as error:
        raise refused(path, f"--architecture {name}: {error}") from None
    return Network(name, {}, "", None, None)
