"""A state dict: safetensors, or what torch.save made of one, read as nothing but tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archiver.new import architectures, beside
from archiver.new.findings import Findings, refused, wanted_task
from archiver.new.labels import placeholders
from archiver.tasks import TASKS
from handlers.formats import safetensors
from handlers.formats.errors import UnsafeFile

NAME = "weights.safetensors"
# Where checkpoints keep the weights, the averaged ones first: they are those that were measured.
INSIDE = ("model_ema", "state_dict_ema", "ema", "state_dict", "model_state_dict", "model", "module", "net", "network")
# In front of every name, of wrappers (DataParallel, torch.compile) and of the attribute that a LightningModule has.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


def read(path: Path, task: str | None, architecture: str | None, workspace: Path) -> Findings:
    """workspace: for the safetensors that are made of a pickled state dict."""
    if path.suffix == ".safetensors":
        file, shapes, kind = path, plain(path), "safetensors"
    else:
        file, shapes, kind = converted(path, workspace)
    network = architectures.find(path, shapes, architecture)
    if network is None:
        said = "the weights do not say of which network they are, and are none of torchvision's"
        possible = tuple(name for name in TASKS if name != "voice-activity")
        chosen = wanted_task(path, task, possible, f"{said}, so --architecture")
        missing = [
            'architecture: {factory, arguments}, "timm.create_model" or a class in a file that `code` names',
            "labels: the name of each class, as --labels FILE",
        ]
        settings, further = beside.preprocessing_of(path, chosen)
        missing += further
        return Findings(kind, chosen, "safetensors", NAME, {NAME: file}, settings=settings, missing=missing)
    chosen = network.task or wanted_task(path, task, tuple(TASKS), f"{network.factory} may be for any task")
    if task not in (None, chosen):
        chosen = wanted_task(path, task, (chosen,), f"{network.factory} is for {chosen}")
    settings = [network.setting]
    if network.preprocessing is not None and chosen == "keypoint-detection":
        settings.append(network.preprocessing)
    elif network.preprocessing is not None:
        found = beside.transform_of(path, None)
        settings.append(found if found.certain else network.preprocessing)
    labels, source = beside.labels_of(path, network.classes)
    missing = []
    if not labels and network.classes:
        labels, source = placeholders(network.classes), "CHECK: placeholders, the weights have no names"
    elif not labels and network.classes is None:
        missing = ["labels: the name of each class, as --labels FILE"]
    if not network.task:
        root = network.factory.partition(".")[0]
        missing += [f"code: [{root}.py], if {network.factory} is yours, and its arguments"]
    return Findings(kind, chosen, "safetensors", NAME, {NAME: file}, labels, source, network.classes, settings, missing)


def plain(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        return safetensors.header(path)
    except UnsafeFile as error:
        raise refused(path, str(error)) from None


def converted(path: Path, workspace: Path) -> tuple[Path, dict[str, tuple[int, ...]], str]:
    """(safetensors, the shapes in it, the kind of file) of what torch.save wrote; SpecError where that is more."""
    import torch
    from safetensors.torch import save_file

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises UnpicklingError for what it does not load, and anything for a broken file.
        raise refused(path, refusal(path, str(error))) from error
    where, state = tensors_of(loaded)
    if not state:
        raise refused(path, "holds no state dict: wanted names and tensors, alone or under state_dict or model")
    # Each with memory of its own, as safetensors wants it.
    state = {name: value.detach().clone().contiguous() for name, value in without_prefix(state).items()}
    file = workspace / NAME
    save_file(state, file)
    kind = "a pickled state dict, read with weights_only" + (f", its {where}" if where else "")
    return file, {name: tuple(value.shape) for name, value in state.items()}, kind


def tensors_of(loaded: Any) -> tuple[str, dict[str, Any]]:
    """(the key, the state dict) in a checkpoint; the key is "" where the file is a state dict itself."""
    import torch

    if not isinstance(loaded, Mapping):
        return "", {}
    for key in INSIDE:
        inner = loaded.get(key)
        if isinstance(inner, Mapping):
            _, found = tensors_of(inner)
            if found:
                return key, found
    state = {name: value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
    whole = bool(state) and all(isinstance(name, str) for name in state) and len(state) == len(loaded)
    return "", state if whole else {}


def without_prefix(state: dict[str, Any]) -> dict[str, Any]:
    while prefix := next((each for each in PREFIXES if all(name.startswith(each) for name in state)), None):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def refusal(path: Path, said: str) -> str:
    """Why weights_only does not read the file, with the command that converts it where it is trusted."""
    found = GLOBAL.search(said)
    if found is None:
        return f"cannot be read by torch.load(weights_only=True): {(said.splitlines() or ['broken'])[0][:200]}"
    name = found[1]
    if name.startswith("ultralytics."):
        convert = f"yolo export model={path.name} format=onnx"
    else:
        state = "m if isinstance(m, dict) else m.state_dict()"
        load = f"m = torch.load('{path.name}', map_location='cpu', weights_only=False)"
        convert = f"python -c \"import torch; {load}; torch.save({state}, 'state.pth')\""
    return (
        f"is a pickle that makes objects of {name}, which would run its code; it is not loaded. Where you trust it, "
        f"convert it: {convert}"
    )
