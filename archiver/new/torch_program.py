"""Reads TorchScript and `.pt2` programs, which do not state their task."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from archiver.new import beside
from archiver.new.findings import Findings, Setting, check_untokenized, refused, wanted_task
from archiver.new.labels import placeholders
from archiver.tasks import TASKS
from handlers.formats import torch_export, torchscript
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import TOKENIZED

KINDS = {"torchscript": "TorchScript", "torch-export": "a .pt2 of torch.export"}
SUFFIXES = {"torchscript": ".pt", "torch-export": ".pt2"}
POSSIBLE = tuple(task for task in TASKS if task not in TOKENIZED)
# Of torchvision's contract: a list of images of any sizes.
MORE_THAN_BOXES = ("instance-segmentation", "keypoint-detection")
DETECTORS = ("object-detection", *MORE_THAN_BOXES)
# The parts of torchvision's own by which they answer with more.
HEADS = {"instance-segmentation": "roi_heads.mask_predictor.", "keypoint-detection": "roi_heads.keypoint_predictor."}
LAYOUT = "preprocessing: {size, output}, what its outputs mean, as docs/own-model.md lists them"


@dataclass(frozen=True)
class Detector:
    """lists: whether it takes a list of images, as torchvision's do. sizes: of its vectors of weights, by name."""

    lists: bool = False
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def classes(self) -> int | None:
        """Known of torchvision's own."""
        return self.sizes.get(beside.CLASSES)

    def lacks(self, task: str) -> bool:
        """Whether it is one of torchvision's own, for another task."""
        return bool(self.classes) and task in HEADS and not any(name.startswith(HEADS[task]) for name in self.sizes)


def read(path: Path, weights_format: str, task: str | None) -> Findings:
    """weights_format: "torchscript" or "torch-export"."""
    try:
        (torchscript if weights_format == "torchscript" else torch_export).check(path)
    except UnsafeFile as error:
        raise refused(path, str(error)) from None
    check_untokenized(path, task)
    kind, name = KINDS[weights_format], f"weights{SUFFIXES[weights_format]}"
    task = wanted_task(path, task, POSSIBLE, f"{kind} does not say what it is for")
    found = Findings(kind, task, weights_format, name, {name: path})
    if task in DETECTORS:
        return read_detector(path, found, scripted(path) if weights_format == "torchscript" else Detector())
    settings, missing = beside.preprocessing_of(path, task)
    labels, source = beside.labels_of(path, None) if TASKS[task].classes else ([], "")
    if TASKS[task].classes and not labels:
        missing = ["labels: the name of each class, as --labels FILE", *missing]
    return replace(found, labels=labels, labels_from=source, settings=settings, missing=missing)


def read_detector(path: Path, found: Findings, detector: Detector) -> Findings:
    """With the names of classes and keypoints, or placeholders for as many as it has."""
    if found.task in MORE_THAN_BOXES and not detector.lists:
        said = (
            f"{found.kind} that takes a batch of images, and {found.task} wants torchvision's contract, a list of them"
        )
        raise refused(path, f"is {said}; name its state dict, or the TorchScript of torch.jit.script")
    if detector.lacks(found.task):
        raise refused(path, f"holds no {HEADS[found.task]}…, the part of torchvision's detectors for {found.task}")
    labels, source = beside.labels_of(path, detector.classes)
    settings: list[Setting] = []
    missing: list[str] = []
    if not labels and detector.classes:
        labels, source = placeholders(detector.classes), "CHECK: placeholders, the weights have no names"
    elif not labels:
        missing += ["labels: the name of each class, as --labels FILE"]
    keypoints = detector.sizes.get(beside.KEYPOINTS)
    if found.task == "keypoint-detection" and keypoints:
        settings += [beside.keypoints_of(keypoints)]
    elif found.task == "keypoint-detection":
        missing += beside.preprocessing_of(path, found.task)[1]
    elif not detector.lists:
        missing += [LAYOUT]
    return replace(
        found, labels=labels, labels_from=source, classes=detector.classes, settings=settings, missing=missing
    )


def scripted(path: Path) -> Detector:
    """Read what a TorchScript file says about its input and weights. Raises SpecError if it cannot be loaded."""
    import torch
    import torchvision  # noqa: F401 - its operators

    try:
        program = torch.jit.load(path, map_location="cpu")
        first = program.forward.schema.arguments[1].type.annotation_str
    except (RuntimeError, AttributeError, IndexError) as error:
        # torch raises RuntimeError for what it cannot read; a program need not have a `forward` with an argument.
        raise refused(path, f"cannot be loaded: {(str(error).strip().splitlines() or [''])[0][:200]}") from error
    sizes = {name: value.shape[0] for name, value in program.state_dict().items() if value.ndim == 1}
    return Detector(first == "List[Tensor]", sizes)
