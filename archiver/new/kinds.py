"""Which format a file or folder of weights is in, and who reads it."""

from __future__ import annotations

import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path

from archiver.errors import Problem, SpecError
from archiver.new import huggingface, labels, onnx_file, state_dict, timm_folder, torch_program
from archiver.new.findings import Findings, refused
from handlers.formats import zip_file
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import CONFIG

# How to make what is read of files that are not.
OTHERS = {
    ".h5": "; convert it: python -m tf2onnx.convert --keras MODEL.h5 --output MODEL.onnx",
    ".keras": "; convert it: model.export('MODEL.onnx', format='onnx')",
    ".pb": "; convert it: python -m tf2onnx.convert --saved-model FOLDER --output MODEL.onnx",
    ".tflite": "; convert it: python -m tf2onnx.convert --tflite MODEL.tflite --output MODEL.onnx",
    ".engine": "; an engine is of one GPU alone: bring the ONNX file it was built from",
    ".pkl": "; a pickle runs code when it is loaded: save the state dict, or export to ONNX",
    ".joblib": "; a pickle runs code when it is loaded: export to ONNX with skl2onnx",
}


@dataclass(frozen=True)
class Options:
    """Given by people; None where they leave it to the weights."""

    task: str | None = None
    architecture: str | None = None
    labels: Path | None = None


def read(path: Path, options: Options, workspace: Path) -> Findings:
    """The facts of the weights; SpecError where they cannot be served. workspace: a folder for converted files."""
    found = read_weights(path, options, workspace)
    if options.labels is not None:
        names = labels.read(options.labels)
        if found.classes is not None and len(names) != found.classes:
            raise SpecError(
                str(options.labels), [Problem("--labels", f"wanted {found.classes} names; got {len(names)}")]
            )
        missing = [thing for thing in found.missing if not thing.startswith("labels")]
        found = dataclasses.replace(found, labels=names, labels_from=options.labels.name, missing=missing)
    return found


def read_weights(path: Path, options: Options, workspace: Path) -> Findings:
    if path.is_dir():
        return read_folder(path, options, workspace)
    if not path.is_file():
        raise refused(path, "there is no such file or folder")
    match path.suffix.lower():
        case ".onnx":
            return onnx_file.read(path, options.task)
        case ".pt2":
            return torch_program.read(path, "torch-export", options.task)
        case ".safetensors" if (path.parent / CONFIG).is_file() and options.architecture is None:
            return read_folder(path.parent, options, workspace)
        case ".safetensors":
            return state_dict.read(path, options.task, options.architecture, workspace)
        case ".pt" | ".pth" | ".bin" | ".ckpt" | ".torchscript" | ".ts":
            if is_torchscript(path):
                return torch_program.read(path, "torchscript", options.task)
            return state_dict.read(path, options.task, options.architecture, workspace)
        case suffix:
            known = ".safetensors, .pth, .pt, .ckpt, .bin, .pt2, .onnx, .mar, or a folder with config.json"
            hint = OTHERS.get(suffix, "")
            raise refused(path, f"files {suffix or 'without a suffix'} are not read; wanted {known}{hint}")


def read_folder(path: Path, options: Options, workspace: Path) -> Findings:
    if not (path / CONFIG).is_file():
        raise refused(path, f"the folder has no {CONFIG}; wanted a folder of save_pretrained, or the file itself")
    config = huggingface.values(path, CONFIG)
    if timm_folder.is_one(config):
        return timm_folder.read(path, config, options.task)
    return huggingface.read(path, options.task, workspace)


def is_torchscript(path: Path) -> bool:
    """Whether it is a zip with the constants of a program; a plain torch.save has none."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zip_file.opened(path) as found:
            return any(name.endswith("/constants.pkl") for name in found.namelist())
    except UnsafeFile as error:
        raise refused(path, str(error)) from None
