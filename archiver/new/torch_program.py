"""TorchScript and `.pt2`: programs, which say nothing about their task."""

from __future__ import annotations

from pathlib import Path

from archiver.new import beside
from archiver.new.findings import Findings, Setting, refused, wanted_task
from archiver.tasks import TASKS
from handlers.formats import torch_export, torchscript
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import TEXTS

KINDS = {"torchscript": "TorchScript", "torch-export": "a .pt2 of torch.export"}
SUFFIXES = {"torchscript": ".pt", "torch-export": ".pt2"}
POSSIBLE = tuple(task for task in TASKS if task not in TEXTS)
UNNAMED = ("audio-embedding", "voice-activity", "policy")


def read(path: Path, weights_format: str, task: str | None) -> Findings:
    """weights_format: "torchscript" or "torch-export"."""
    try:
        (torchscript if weights_format == "torchscript" else torch_export).check(path)
    except UnsafeFile as error:
        raise refused(path, str(error)) from None
    kind, name = KINDS[weights_format], f"weights{SUFFIXES[weights_format]}"
    task = wanted_task(path, task, POSSIBLE, f"{kind} does not say what it is for")
    labels, source = ([], "") if task in UNNAMED else beside.labels_of(path, None)
    missing = [] if labels or task in UNNAMED else ["labels: the name of each class, as --labels FILE"]
    settings, further = preprocessing(path, task)
    return Findings(kind, task, weights_format, name, {name: path}, labels, source, None, settings, missing + further)


def preprocessing(path: Path, task: str) -> tuple[list[Setting], list[str]]:
    """(settings, what is to be filled in)."""
    if task in ("image-classification", "semantic-segmentation"):
        return [beside.transform_of(path, None)], []
    if task in ("object-detection", "instance-segmentation"):
        # torchvision's detectors have theirs inside; an export with raw outputs names its own.
        return [], []
    if task.startswith("audio-"):
        values = {"sample_rate": 16_000, "seconds": 1.0}
        return [Setting("preprocessing", values, "assumed: 16 kHz, windows of a second", certain=False)], []
    return [], [f"preprocessing, as docs/own-model.md has it for {task}"]
