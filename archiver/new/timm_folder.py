"""A folder of timm's, as its hub has them: config.json names the architecture and its preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archiver.new import beside
from archiver.new.architectures import timm_transform
from archiver.new.findings import Findings, Setting, refused, wanted_task
from archiver.new.labels import placeholders
from handlers.formats import safetensors
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import CONFIG, WEIGHTS

NAME = "weights.safetensors"


def is_one(config: dict[str, Any]) -> bool:
    return isinstance(config.get("architecture"), str) and config.get("model_type", "timm_wrapper") == "timm_wrapper"


def read(path: Path, config: dict[str, Any], task: str | None) -> Findings:
    wanted_task(path, task or "image-classification", ("image-classification",), "a folder of timm's")
    file = path / WEIGHTS
    if not file.is_file():
        convert = "timm.models.save_for_hf(model, folder, safe_serialization=True)"
        raise refused(path, f"has no {WEIGHTS}; save it again: {convert}")
    try:
        safetensors.check(file)
    except UnsafeFile as error:
        raise refused(path, f"{WEIGHTS} {error}") from None
    pretrained = config.get("pretrained_cfg")
    values: dict[str, Any] = pretrained if isinstance(pretrained, dict) else {}
    classes = config.get("num_classes") or values.get("num_classes") or 1000
    arguments = {**(config.get("model_args") or {}), "model_name": config["architecture"], "num_classes": classes}
    named = config.get("label_names") or values.get("label_names") or []
    names = [str(name) for name in named] if len(named) == classes else []
    labels, source = (names, f"{CONFIG}, label_names") if names else beside.labels_of(file, classes)
    if not labels:
        labels, source = placeholders(classes), "CHECK: placeholders, the folder has no names"
    settings = [
        Setting("architecture", {"factory": "timm.create_model", "arguments": arguments}, CONFIG),
        timm_transform(values, f"{CONFIG}, pretrained_cfg"),
    ]
    kind = "a folder of timm's"
    return Findings(kind, "image-classification", "safetensors", NAME, {NAME: file}, labels, source, classes, settings)
