"""Reads the state dict in a file of torch.save, with `weights_only` and within the memory that its size announces."""

from __future__ import annotations

import json
import re
import shlex
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archiver.new.findings import refused
from handlers.formats import zip_file
from handlers.formats.errors import UnsafeFile

# Checkpoint keys with the weights. Averaged weights come first, because they are the evaluated ones.
INSIDE = ("model_ema", "state_dict_ema", "ema", "state_dict", "model_state_dict", "model", "module", "net", "network")
GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
# In torch's message, between sentences about an argument that nobody here can give.
REASON = re.compile(r"WeightsUnpickler error: ([^\n]{1,200})")
# Loads a pickle and saves its tensors alone, in the dictionaries they are in.
CONVERT = (
    'import torch; keep = lambda v: v if torch.is_tensor(v) else keep(v.state_dict()) if hasattr(v, "state_dict") else '
    "{{k: w for k in v if (w := keep(v[k])) is not None}} or None if isinstance(v, dict) else None; "
    'torch.save(keep(torch.load({source}, map_location="cpu", weights_only=False)), {target})'
)


def unpickled(path: Path) -> tuple[dict[str, Any], str]:
    """(state dict, kind of file) of a torch.save file. Raises SpecError if it contains anything else."""
    import torch

    try:
        check_zip(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except UnsafeFile as error:
        raise refused(path, str(error)) from None
    except Exception as error:
        # torch raises UnpicklingError for what it refuses to load, and arbitrary errors for a broken file.
        raise refused(path, refusal(path, str(error))) from error
    where, state = tensors_of(loaded)
    if not state:
        raise refused(path, "holds no state dict: wanted names and tensors, alone or under state_dict or model")
    if problem := problem_of(state, path.stat().st_size):
        raise refused(path, problem)
    return state, "a pickled state dict, read with weights_only" + (f", its {where}" if where else "")


def check_zip(path: Path) -> None:
    """Raises UnsafeFile for a zip that is a bomb; torch, which compresses nothing, would inflate all of it."""
    if zipfile.is_zipfile(path):
        with zip_file.opened(path) as found:
            for name, what in zip_file.problems(found):
                raise UnsafeFile(f"{name} {what}")


def tensors_of(loaded: Any) -> tuple[str, dict[str, Any]]:
    """(key, state dict) of a checkpoint; the key is "" if the file is itself a state dict."""
    import torch

    todo: list[tuple[str, Any]] = [("", loaded)]
    seen = set[int]()  # a dictionary in a pickle may hold itself
    while todo:
        where, found = todo.pop()
        if not isinstance(found, Mapping) or id(found) in seen:
            continue
        seen.add(id(found))
        if found and all(isinstance(name, str) and isinstance(each, torch.Tensor) for name, each in found.items()):
            return where, dict(found)
        todo += [(where or key, found.get(key)) for key in reversed(INSIDE)]
    return "", {}


def problem_of(state: Mapping[str, Any], size: int) -> str:
    """Why the tensors cannot be stored as safetensors; "" if they can. size: of the file, in bytes.

    A tensor of a few bytes may repeat them along any number of elements.
    """
    import torch

    for name, tensor in state.items():
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_nested or tensor.is_meta:
            return f"{zip_file.shown(name)!r} is a sparse, quantized, nested or empty tensor; wanted plain numbers"
    needed = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if needed > max(zip_file.SMALL, zip_file.MAX_EXPANSION * size):
        return f"its tensors need {needed:.3g} bytes; the file has {size}"
    return ""


def refusal(path: Path, said: str) -> str:
    """Why weights_only does not read the file, with a command that converts a trusted file."""
    found = GLOBAL.search(said)
    if found is None:
        reason = REASON.search(said)
        return f"cannot be read by torch.load(weights_only=True): {reason[1] if reason else 'it is broken or cut off'}"
    name = found[1]
    if name.startswith("ultralytics."):
        convert = f"yolo export model={shlex.quote(str(path))} format=onnx"
    else:
        target = path.with_name(f"{path.stem}-state.pth")
        code = CONVERT.format(source=json.dumps(str(path)), target=json.dumps(str(target)))
        convert = f"python -c {shlex.quote(code)}"
    return (
        f"is a pickle that makes objects of {name}, which would run its code; it is not loaded. If you trust it, "
        f"convert it: {convert}"
    )
