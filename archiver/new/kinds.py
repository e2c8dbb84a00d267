"""Detects the format of a file or folder of weights, and selects its reader."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from archiver.errors import Problem, SpecError
from archiver.new import content, labels, onnx_file, state_dict, torch_program
from archiver.new.exported_detector import with_background
from archiver.new.findings import Findings, refused
from archiver.new.folders import adapter, huggingface, other, timm_model
from handlers.formats.huggingface import CONFIG, INDEX

# Hints for files of unsupported formats that their names tell better than their content.
OTHERS = {
    **dict.fromkeys((".h5", ".hdf5"), "convert it: python -m tf2onnx.convert --keras {0} --output model.onnx"),
    ".keras": "convert it: model.export('model.onnx', format='onnx')",
    ".pb": "convert the folder that it is in: python -m tf2onnx.convert --saved-model {1} --output model.onnx",
    ".tflite": "convert it: python -m tf2onnx.convert --tflite {0} --output model.onnx",
    **dict.fromkeys((".engine", ".plan", ".trt"), "it is for one GPU alone: name the ONNX file that it was built from"),
    **dict.fromkeys((".pkl", ".pickle", ".dill"), "a pickle runs code when it is loaded: save the state dict, or ONNX"),
    ".joblib": "a pickle runs code when it is loaded: export to ONNX with skl2onnx",
    **dict.fromkeys((".gguf", ".ggml"), "llama.cpp's format: name the folder of safetensors that it was made of"),
    **dict.fromkeys((".mlmodel", ".mlpackage"), "Core ML's format: name the model that it was converted from"),
    **dict.fromkeys((".pdparams", ".pdmodel", ".pdiparams"), "PaddlePaddle's format: convert it with paddle2onnx"),
    ".msgpack": "Flax's format: name the safetensors of its repository",
    ".ort": "ONNX Runtime's own format: name the ONNX file that it was converted from",
    ".xml": "if it is OpenVINO's: name the model that it was converted from",
    ".pte": "ExecuTorch's format: name the model that it was exported from",
    ".json": "name the folder that it is in",
    **dict.fromkeys((".data", ".onnx_data"), "if it holds tensors of an ONNX file, name that file, beside it"),
}


@dataclass(frozen=True)
class Options:
    """Command-line options; None to derive a value from the weights."""

    task: str | None = None
    architecture: str | None = None
    labels: Path | None = None


def read(path: Path, options: Options, workspace: Path) -> Findings:
    """Read the weights. Raises SpecError if they cannot be served. workspace: a folder for converted files."""
    found = read_weights(path, options, workspace)
    if options.labels is not None:
        names = labels.read(options.labels)
        if found.classes is not None and len(names) != found.classes:
            raise SpecError(
                str(options.labels), [Problem("--labels", f"wanted {found.classes} names; got {len(names)}")]
            )
        missing = [thing for thing in found.missing if not thing.startswith("labels")]
        found = dataclasses.replace(found, labels=names, labels_from=options.labels.name, missing=missing)
    return with_background(found)


def read_weights(path: Path, options: Options, workspace: Path) -> Findings:
    if adapter.is_one(path):
        raise refused(path, adapter.refusal(path if path.is_dir() else path.parent))
    if path.is_dir():
        return read_folder(path, options, workspace)
    if not path.is_file():
        raise refused(path, "is neither a file nor a folder" if path.exists() else "does not exist")
    suffix = path.suffix.lower()
    form = "" if suffix in OTHERS else content.check(path)
    match suffix:
        case ".onnx":
            return onnx_file.read(path, options.task)
        case ".pt2":
            return torch_program.read(path, "torch-export", options.task)
        case _ if is_part(path) and options.architecture is None:
            return read_folder(path.parent, options, workspace)
        case ".safetensors":
            return state_dict.read(path, options.task, options.architecture, workspace)
        case _ if suffix in content.SAVED:
            if form == content.TORCHSCRIPT:
                return torch_program.read(path, "torchscript", options.task)
            return state_dict.read(path, options.task, options.architecture, workspace)
        case _:
            known = ".safetensors, .pth, .pt, .ckpt, .bin, .pt2, .onnx, .mar, or a folder with config.json"
            hint = f"; {OTHERS[suffix].format(path, path.parent)}" if suffix in OTHERS else ""
            raise refused(path, f"files {suffix or 'without a suffix'} are not supported; wanted {known}{hint}")


def is_part(path: Path) -> bool:
    """Whether the file has the weights, or the index of several files, of its Hugging Face folder."""
    own = path.suffix == ".safetensors" or path.name.startswith("pytorch_model") or path.name == INDEX
    return own and (path.parent / CONFIG).is_file()


def read_folder(path: Path, options: Options, workspace: Path) -> Findings:
    other.check(path)
    config = huggingface.values(path, CONFIG)
    if timm_model.is_one(config):
        return timm_model.read(path, config, options.task)
    return huggingface.read(path, options.task, workspace)
