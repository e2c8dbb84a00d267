"""Reads TorchScript and `.pt2` programs, which do not state their task."""

from __future__ import annotations

from pathlib import Path

from archiver.new import beside
from archiver.new.findings import Findings, refused, wanted_task
from archiver.tasks import TASKS
from handlers.formats import torch_export, torchscript
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import TOKENIZED

KINDS = {"torchscript": "TorchScript", "torch-export": "a .pt2 of torch.export"}
SUFFIXES = {"torchscript": ".pt", "torch-export": ".pt2"}
POSSIBLE = tuple(task for task in TASKS if task not in TOKENIZED)
UNNAMED = ("image-embedding", "depth-estimation", "audio-embedding", "voice-activity", "policy")


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
    settings, further = beside.preprocessing_of(path, task)
    return Findings(kind, task, weights_format, name, {name: path}, labels, source, None, settings, missing + further)
