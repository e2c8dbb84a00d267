"""Reads a timm folder from the Hub, whose config.json has the architecture and its preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archiver.new import beside
from archiver.new.architectures import timm_transform
from archiver.new.findings import Findings, Setting, refused, wanted_task
from archiver.new.labels import placeholders
from handlers.formats import configuration, safetensors, timm_config
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import CONFIG, WEIGHTS, without_code

NAME = "weights.safetensors"


def is_one(config: dict[str, Any]) -> bool:
    return isinstance(config.get("architecture"), str) and config.get("model_type", "timm_wrapper") == "timm_wrapper"


def read(path: Path, config: dict[str, Any], task: str | None) -> Findings:
    file = path / WEIGHTS
    if not file.is_file():
        convert = "timm.models.save_for_hf(model, folder, safe_serialization=True)"
        raise refused(path, f"has no {WEIGHTS}; save it again: {convert}")
    try:
        configuration.check(without_code(config), CONFIG)
    except UnsafeFile as error:
        raise refused(path, str(error)) from None
    try:
        safetensors.check(file)
    except UnsafeFile as error:
        raise refused(path, f"{WEIGHTS} {error}") from None
    pretrained, more = config.get("pretrained_cfg"), config.get("model_args") or {}
    values: dict[str, Any] = pretrained if isinstance(pretrained, dict) else {}
    if not isinstance(more, dict):
        raise refused(path, f"{CONFIG}: model_args: got {str(more)[:80]}; wanted names and values")
    if problem := timm_config.problem(values):
        raise refused(path, f"{CONFIG}: pretrained_cfg: {problem}, which timm does not write")
    classes = next((each["num_classes"] for each in (config, values) if "num_classes" in each), 1000)
    if not isinstance(classes, int) or isinstance(classes, bool) or classes < 0:
        raise refused(path, f"{CONFIG}: num_classes: got {str(classes)[:80]}; wanted a number")
    own = "image-classification" if classes else "image-embedding"  # without its head
    task = wanted_task(path, task or own, (own,), f"a folder of timm's with {classes} classes")
    arguments = {**more, "model_name": config["architecture"], "num_classes": classes}
    named = config.get("label_names") or values.get("label_names") or []
    names = [str(name) for name in named] if len(named) == classes else []
    labels, source = (names, f"{CONFIG}, label_names") if names else beside.labels_of(file, classes)
    if not labels and classes:
        labels, source = placeholders(classes), "CHECK: placeholders, the folder has no names"
    settings = [
        Setting("architecture", {"factory": "timm.create_model", "arguments": arguments}, CONFIG),
        timm_transform(values, f"{CONFIG}, pretrained_cfg"),
    ]
    kind = "a folder of timm's"
    return Findings(kind, task, "safetensors", NAME, {NAME: file}, labels, source, classes, settings)
