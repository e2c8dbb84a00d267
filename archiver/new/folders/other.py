"""A folder that is not one of save_pretrained: what it is, and which file or folder to name instead."""

from __future__ import annotations

from pathlib import Path

from archiver.new import content
from archiver.new.findings import refused
from handlers.formats.huggingface import CONFIG

WANTED = f"wanted a folder of save_pretrained with {CONFIG}, or the file of weights itself"
# By a file in it.
KINDS = (
    ("saved_model.pb", "is a SavedModel of TensorFlow; convert it: "
     "python -m tf2onnx.convert --saved-model {0} --output model.onnx"),
    ("model.weights.h5", "is a model of Keras; convert it to ONNX with tf2onnx"),
    ("Manifest.json", "is a package of Core ML; wanted the model that it was converted from"),
    ("model_index.json", "is a pipeline of diffusers, whose tasks are not served"),
    (".metadata", "is a distributed checkpoint; convert it: "
     "python -m torch.distributed.checkpoint.format_utils dcp_to_torch {0} weights.pth"),
    ("_METADATA", "is a checkpoint of Orbax, which JAX reads; wanted safetensors"),
)  # fmt: skip
# Files of weights that can be named by themselves.
ALONE = (".safetensors", ".onnx", ".pth", ".pt", ".pt2", ".ckpt")
# Weights that transformers does not read, or no longer.
FOREIGN = {
    "tf_model.h5": "TensorFlow",
    "flax_model.msgpack": "Flax",
    "model.bin": "CTranslate2",
    "openvino_model.xml": "OpenVINO",
    "weights.npz": "MLX",
    "rust_model.ot": "rust-bert",
}


def check(path: Path) -> None:
    """SpecError where the folder has no settings, no weights of PyTorch, or pointers in their place."""
    try:
        names = sorted(file.name for file in path.iterdir())
        pointers = [name for name in names if (path / name).is_file() and content.is_pointer(path / name)]
    except OSError as error:
        raise refused(path, f"cannot be read: {error.strerror}") from None
    if pointers:
        raise refused(path, f"{pointers[0]} is a pointer of Git LFS and not the file itself; run git lfs pull in it")
    if CONFIG in names and any(name.startswith(("model", "pytorch_model")) and is_pytorchs(name) for name in names):
        return
    for name, what in KINDS:
        if name in names:
            raise refused(path, what.format(path))
    if CONFIG not in names:
        raise refused(path, without_settings(path, names))
    if foreign := next((name for name in FOREIGN if name in names), ""):
        said = f"holds {foreign}, weights of {FOREIGN[foreign]}, and none of PyTorch"
        raise refused(path, f"{said}; wanted the model.safetensors of its repository")
    if files := weights_below(path):
        raise refused(path, f"has no model.safetensors; to serve {files[0].name}, name that file: {files[0]}")


def is_pytorchs(name: str) -> bool:
    return name.endswith((".safetensors", ".safetensors.index.json")) or name.startswith("pytorch_model")


def without_settings(path: Path, names: list[str]) -> str:
    if not names:
        return f"the folder is empty; {WANTED}"
    below = sorted({file.parent for pattern in (f"*/{CONFIG}", f"*/*/{CONFIG}") for file in path.glob(pattern)})
    if below:
        return f"the folder has no {CONFIG}, but {below[0].relative_to(path)} in it has: name that folder, {below[0]}"
    if files := weights_below(path):
        return f"the folder has no {CONFIG}; to serve {files[0].name}, name that file: {files[0]}"
    if gguf := next((name for name in names if name.endswith(".gguf")), ""):
        return f"the folder holds {gguf}, of llama.cpp; {WANTED}"
    return f"the folder has no {CONFIG}; {WANTED}"


def weights_below(path: Path) -> list[Path]:
    """Files that can be named by themselves, in the folder or one below."""
    files = [*path.glob("*"), *path.glob("*/*")]
    return sorted((file for file in files if file.suffix in ALONE and file.is_file()), key=lambda file: len(file.parts))
