"""Finds the network of a state dict, by a given name or by the names and shapes of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from archiver.errors import nearest
from archiver.new import beside
from archiver.new.findings import Setting, refused
from archiver.new.named_architecture import NamedArchitecture, parse
from handlers.formats import architecture as packed
from handlers.formats import timm_config
from handlers.formats.errors import UnsafeFile

TASKS = {
    "torchvision.models.detection": "object-detection",
    "torchvision.models.segmentation": "semantic-segmentation",
}
# torchvision's detectors with more than boxes, by name prefix.
OF_INSTANCES = {"maskrcnn_": "instance-segmentation", "keypointrcnn_": "keypoint-detection"}
# Detectors whose published weights are of frozen batch norms without an epsilon, which `zero_epsilon` builds.
FROZEN = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "keypointrcnn_resnet50_fpn", "retinanet_resnet50_fpn")
ZERO_EPSILON = "handlers.networks.detection.zero_epsilon"
# As frozen batch norms have none of these, nor files of torch before 0.4.1; workers do without them.
COUNTER = ".num_batches_tracked"
TIMM = "timm/"
# The scores of torchvision's detectors of one stage, and the anchors that they have in each place.
ONE_STAGE, ANCHORS = "head.classification_head.", (9, 6, 4)
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Network:
    """factory, arguments: for the spec's `architecture`. classes: number of the last layer's classes. preprocessing: as
    the library defines it for its own weights. assumed: about the architecture.
    """

    factory: str
    arguments: dict[str, Any]
    task: str
    classes: int | None
    preprocessing: Setting | None
    assumed: str = ""

    @property
    def setting(self) -> Setting:
        value = {"factory": self.factory, "arguments": self.arguments}
        return Setting("architecture", value, self.assumed, certain=not self.assumed)


def find(path: Path, shapes: Shapes, given: str | None) -> Network | None:
    """Find the network of these weights; None if none was named and none in torchvision matches.

    Raises SpecError if the weights do not belong to the named network.
    """
    if given is None:
        return next((found for name in candidates() if (found := fitting(name, shapes, {}))), None)
    named = parse(path, given)
    if named.name.startswith(TIMM):
        return of_timm(path, named, shapes)
    if "." in named.name:
        return dotted(path, named)
    if named.name not in candidates():
        raise refused(path, f"--architecture {named}: torchvision has no such model{nearest(named.name, candidates())}")
    check(path, named, f"torchvision.models.{named.name}")
    found = fitting(named.name, shapes, named.arguments)
    if found is None:
        raise refused(path, f"--architecture {named}: {unlike(named, shapes)}")
    return found


def candidates() -> list[str]:
    """torchvision's models, except video and quantized ones."""
    from torchvision.models import list_models

    return [name for name in list_models() if not name.startswith("quantized_") and in_images(name)]


def in_images(name: str) -> bool:
    from torchvision.models import get_model_builder

    return not get_model_builder(name).__module__.startswith(("torchvision.models.video", "torchvision.models.optical"))


def fitting(name: str, shapes: Shapes, given: Mapping[str, Any]) -> Network | None:
    """torchvision's model with the weights' number of classes, if all names and shapes match. given: arguments."""
    from torchvision.models import get_model_builder

    builder = get_model_builder(name)
    module = builder.__module__
    task = next((task for room, task in TASKS.items() if module.startswith(room)), "image-classification")
    task = next((more for start, more in OF_INSTANCES.items() if name.startswith(start)), task)
    for extra in variants(task, shapes):
        arguments = {**without_weights(builder), **extra, **given}
        for classes in [given["num_classes"]] if "num_classes" in given else class_counts(shapes):
            own = comparable(shapes_of(builder, {**arguments, "num_classes": classes}), shapes)
            if own.keys() != shapes.keys():
                break  # whatever the number of classes
            if own == shapes:
                factory, assumed = f"{module}.{builder.__name__}", ""
                arguments["num_classes"] = classes
                if name in FROZEN and not has_counters(shapes):
                    assumed = (
                        f"assumed: trained from its published weights; from its backbone's alone: {factory}, no model"
                    )
                    factory, arguments = ZERO_EPSILON, {"model": name, **arguments}
                preprocessing = torchvision_preset(name, task, arguments.get("num_keypoints"))
                return Network(factory, arguments, task, classes, preprocessing, assumed)
    return None


def without_weights(builder: Any) -> dict[str, None]:
    """Arguments for which torchvision's builder downloads nothing."""
    return dict.fromkeys(sorted(packed.FETCHING & signature(builder).parameters.keys()))


def has_counters(shapes: Shapes) -> bool:
    return any(name.endswith(COUNTER) for name in shapes)


def comparable(own: Shapes | None, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """A network's shapes, without counters if the weights have none; empty if the network could not be built."""
    counted = has_counters(shapes)
    return {name: shape for name, shape in (own or {}).items() if counted or not name.endswith(COUNTER)}


def variants(task: str, shapes: Shapes) -> list[dict[str, Any]]:
    if task == "semantic-segmentation" and any(name.startswith("aux_classifier.") for name in shapes):
        return [{"aux_loss": True}]
    if task == "keypoint-detection" and len(shapes.get(beside.KEYPOINTS, ())) == 1:
        return [{"num_keypoints": shapes[beside.KEYPOINTS][0]}]
    return [{}]


def class_counts(shapes: Shapes) -> list[int]:
    """Possible numbers of classes, from the sizes of biases, last layers first. Detectors of one stage have a score of
    each class for each of a place's anchors.
    """
    biases = {name: shape[0] for name, shape in shapes.items() if name.endswith("bias") and len(shape) == 1}
    scores = [size for name, size in biases.items() if name.startswith(ONE_STAGE)]
    counts = [size // anchors for size in scores for anchors in ANCHORS if size % anchors == 0]
    return list(dict.fromkeys([*counts, *(size for size in reversed(biases.values()) if size)]))[:12]


def shapes_of(builder: Any, arguments: Mapping[str, Any]) -> dict[str, tuple[int, ...]] | None:
    """Shapes of the network's weights, built without allocating memory; None if that fails."""
    import torch

    try:
        with torch.device("meta"):
            return {name: tuple(value.shape) for name, value in builder(**arguments).state_dict().items()}
    except (TypeError, ValueError, RuntimeError):
        return None


def unlike(named: NamedArchitecture, shapes: Shapes) -> str:
    from torchvision.models import get_model_builder

    builder = get_model_builder(named.name)
    own = comparable(shapes_of(builder, {**without_weights(builder), **named.arguments}), shapes)
    if not own:
        return "torchvision builds none with these arguments"
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
        return beside.keypoints_of(keypoints)
    if task in ("object-detection", "instance-segmentation"):
        return None
    preset = next(iter(get_model_weights(name))).transforms()
    side = preset.resize_size[0]
    values: dict[str, Any] = {"resize": side if task == "image-classification" else [side, side]}
    if crop := getattr(preset, "crop_size", None):
        values["crop"] = [crop[0], crop[0]]
    values |= {"interpolation": preset.interpolation.value, "mean": list(preset.mean), "std": list(preset.std)}
    return Setting("preprocessing", values, "assumed: that of torchvision's own weights", certain=False)


def of_timm(path: Path, named: NamedArchitecture, shapes: Shapes) -> Network:
    """A model from timm's registry."""
    import timm

    known, name = timm.list_models(), named.name.removeprefix(TIMM)
    base = name.partition(".")[0]
    if base not in known:
        raise refused(path, f"--architecture {named}: timm has no such model{nearest(base, known)}")
    check(path, named, "timm.create_model")
    for classes in [*class_counts(shapes), 0]:
        arguments = {**named.arguments, "model_name": base, "num_classes": classes}
        own = shapes_of(timm.create_model, {**arguments, "pretrained": False})
        if own and comparable(own, shapes) == shapes:
            published = timm.get_pretrained_cfg(name)
            config = published.to_dict() if published else {}
            setting = timm_transform(config, "assumed: timm's for its own weights", certain=False)
            task = "image-classification" if classes else "image-embedding"  # without its head
            return Network("timm.create_model", arguments, task, classes, setting)
    raise refused(path, f"--architecture {named}: the weights do not match")


def timm_transform(config: Mapping[str, Any], source: str, certain: bool = True) -> Setting:
    if other := timm_config.differs(config):
        source, certain = f"{source}; its {other} is not supported", False
    return Setting("preprocessing", timm_config.preprocessing(config), source, certain)


def dotted(path: Path, named: NamedArchitecture) -> Network:
    """A class or function by its dotted name, from a library or from a file in the spec's `code`."""
    check(path, named, named.name)
    return Network(named.name, named.arguments, "", None, None)


def check(path: Path, named: NamedArchitecture, factory: str) -> None:
    """Raise SpecError for a name or arguments that no artifact may have."""
    root = factory.partition(".")[0]
    try:
        packed.check({"factory": factory, "arguments": named.arguments}, () if root in packed.LIBRARIES else {root})
    except UnsafeFile as error:
        raise refused(path, f"--architecture {named}: {error}") from None
