"""Files that are not weights, or not those that their names say: one sentence with the way out, and nothing is left."""

from __future__ import annotations

import io
import os
import pickle
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.torch import save
from sklearn.linear_model import LinearRegression
from torch import nn
from torchvision.models import resnet18
from typer.testing import CliRunner

from archiver.new.command import app
from archiver.new.kinds import Options
from tests.new_models import new
from tests.tiny_transformers import save as save_folder
from tests.tiny_transformers import vit

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a2146" * 8 + b"\nsize 346293852\n"
HDF5, GGUF, TFLITE = b"\x89HDF\r\n\x1a\n" + bytes(99), b"GGUF\x03" + bytes(60), b"\x1c\0\0\0TFL3" + bytes(60)
CONFIG = b'{"architectures": ["ViTForImageClassification"], "model_type": "vit"}'
STATE = {"layer.weight": torch.zeros(3, 4), "layer.bias": torch.zeros(3)}


def zipped(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def by(write: Any, *arguments: Any, **options: Any) -> bytes:
    """The file that a library writes."""
    content = io.BytesIO()
    write(*arguments, content, **options)
    return content.getvalue()


def tarred() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"))
    return content.getvalue()


def graph() -> bytes:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 8, 8]) for name in ("images", "found")]
    model = helper.make_graph([helper.make_node("Relu", ["images"], ["found"])], "relu", ends[:1], ends[1:])
    return bytes(helper.make_model(model, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())


PICKLE = pickle.dumps(LinearRegression())
REGRESSION = r"is a pickle of sklearn\.linear_model\.\w+\.LinearRegression that .*skl2onnx"
SAFE, SAVED, GRAPH = save(STATE), by(torch.save, STATE), graph()
LEGACY = by(torch.save, STATE, _use_new_zipfile_serialization=False)
SCRIPT = by(torch.jit.save, torch.jit.script(nn.Linear(2, 2)))
ARRAYS = io.BytesIO()
np.savez(ARRAYS, a=np.zeros(3))

FILES: dict[str, tuple[bytes, str]] = {
    # under another format's name
    "weights.onnx": (SAFE, "is safetensors under another name; rename it to weights.safetensors"),
    "safetensors.pth": (SAFE, "is safetensors under another name; rename it to safetensors.safetensors"),
    "no-suffix": (SAFE, "is safetensors under another name; rename it to no-suffix.safetensors"),
    "graph.pth": (GRAPH, "is an ONNX file under another name; rename it to graph.onnx"),
    "saved.safetensors": (SAVED, "is a file of torch.save under another name; rename it to saved.pt"),
    "saved.onnx": (SAVED, "is a file of torch.save under another name; rename it to saved.pt"),
    "saved": (SAVED, "is a file of torch.save under another name; rename it to saved.pt"),
    "legacy.safetensors": (LEGACY, "is a file of torch.save under another name; rename it to legacy.pt"),
    "script.pt2": (SCRIPT, "is TorchScript under another name; rename it to script.pt"),
    "mobile.ptl": (SCRIPT, "is TorchScript under another name; rename it to mobile.pt"),
    "archive.pth": (zipped(**{"MAR-INF/MANIFEST.json": b"{}"}), "is an archive of TorchServe under another name"),
    "weights.mar": (SAVED, "is a file of torch.save under another name"),
    # not the file itself
    "pointer.safetensors": (POINTER, "is a pointer of Git LFS and not the file itself, which `git lfs pull` fetches"),
    "pointer.onnx": (POINTER, "is a pointer of Git LFS"),
    "pointer.pth": (POINTER, "is a pointer of Git LFS"),
    "pointer.mar": (POINTER, "is a pointer of Git LFS"),
    "page.safetensors": (b"\n<!DOCTYPE html><html></html>", "is a web page, as a download that needs a login"),
    "text.pth": (b"Entry not found\n", "is a text that begins with 'Entry not found'"),
    "error.onnx": (b'{"error": "Unauthorized"}', "is a text that begins with"),
    "empty.pth": (b"", "is empty; copy or download it again"),
    "empty.onnx": (b"", "is empty"),
    "zip.safetensors": (zipped(**{"weights.safetensors": SAFE}), "is a zip of other files; unpack it first"),
    "tar.pth": (tarred(), "is a tar archive; unpack it first"),
    "compressed.safetensors": (b"\x1f\x8b\x08" + bytes(60), "is compressed by gzip; unpack it first"),
    # of others
    "keras.h5": (HDF5, "tf2onnx.convert --keras .*keras.h5"),
    "keras.pth": (HDF5, "is HDF5, as Keras writes it; convert it to ONNX with tf2onnx"),
    "model.keras": (zipped(**{"config.json": b"{}", "model.weights.h5": HDF5}), r"model.export\('model.onnx'"),
    "keras.bin": (zipped(**{"config.json": b"{}", "model.weights.h5": HDF5}), "is a model of Keras"),
    "frozen.pb": (b"\x08\x01", "tf2onnx.convert --saved-model"),
    "model.tflite": (TFLITE, "tf2onnx.convert --tflite .*model.tflite"),
    "tflite.pth": (TFLITE, "is a model of TensorFlow Lite"),
    "model.gguf": (GGUF, "llama.cpp's format: name the folder of safetensors"),
    "gguf.bin": (GGUF, "is GGUF, llama.cpp's format"),
    "flax_model.msgpack": (b"\x81\xa1a", "Flax's format: name the safetensors"),
    "model.mlmodel": (b"\x08\x05", "Core ML's format: name the model that it was converted from"),
    "model.pdparams": (b"\x80\x02", "PaddlePaddle's format: convert it with paddle2onnx"),
    "model.engine": (bytes(9), "is for one GPU alone: name the ONNX file"),
    "arrays.pth": (ARRAYS.getvalue(), "holds arrays of NumPy"),
    "array.pth": (b"\x93NUMPY\x01\0", "is an array of NumPy"),
    "sklearn.pkl": (PICKLE, "a pickle runs code when it is loaded"),
    "sklearn.pth": (PICKLE, REGRESSION),
    "numbers.pth": (pickle.dumps({"a": [1, 2]}), "is a pickle that torch.save did not write"),
    "config.json": (CONFIG, "name the folder that it is in"),
    "model.onnx.data": (bytes(9), "name that file, beside it"),
    # cut off
    "half.safetensors": (SAFE[:-5], "is cut off: 'layer.weight' ends 5 bytes after the end of the file"),
    "head.safetensors": (SAFE[:20], "is not safetensors: its header is longer than the file"),
    "half.pth": (SAVED[: len(SAVED) // 2], "is cut off or broken: its zip has no directory of files"),
    "half.pt2": (SAVED[: len(SAVED) // 2], "is cut off or broken"),
    "half.ckpt": (LEGACY[:-9], "torch.load.*: it is broken or cut off"),
    "begun.ckpt": (LEGACY[:40], "torch.load.*: it is broken or cut off"),
    "half.onnx": (GRAPH[: len(GRAPH) // 2], "is not an ONNX graph: .*cut off"),
    "zeros.pth": (bytes(5000), "torch.load.*: it is broken or cut off"),
}


def refused(weights: Path, root: Path) -> str:
    """The message of `new`, which leaves nothing behind."""
    result = CliRunner().invoke(
        app,
        [
            "model",
            "--weights",
            str(weights),
            "--artifacts",
            f"{root}/a",
            "--specs",
            f"{root}/s",
            "--store",
            f"{root}/m",
        ],
    )
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert not any((root / name).exists() for name in "asm")
    first, *problems = result.stderr.splitlines()
    assert first == f"new: {weights}: 1 problem"
    assert len(problems) == 1
    assert "weights_only set to" not in problems[0].replace("`", "")  # torch's advice to load what is not trusted
    return problems[0]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("error")
def test_one_sentence_about_a_file(name: str, tmp_path: Path) -> None:
    content, message = FILES[name]
    (tmp_path / name).write_bytes(content)
    said = refused(tmp_path / name, tmp_path)
    assert re.search(message, said), said


FOLDERS: dict[str, tuple[dict[str, bytes], str]] = {
    "empty": ({}, "the folder is empty; wanted a folder of save_pretrained with config.json"),
    "a file alone": ({"model.pth": SAVED}, "has no config.json; to serve model.pth, name that file: .*/model.pth"),
    "safetensors alone": ({"model.safetensors": SAFE}, "to serve model.safetensors, name that file"),
    "the cache of a hub": (
        {"refs/main": b"abc", "snapshots/abc/config.json": CONFIG},
        "but snapshots/abc in it has: name that folder, .*/snapshots/abc",
    ),
    "pointers": ({"config.json": CONFIG, "model.safetensors": POINTER}, "model.safetensors is a pointer of Git LFS"),
    "a tokenizer's pointer": (
        {"config.json": CONFIG, "model.safetensors": SAFE, "tokenizer.json": POINTER},
        "tokenizer.json is a pointer of Git LFS",
    ),
    "a pickle's pointer": ({"config.json": CONFIG, "pytorch_model.bin": POINTER}, "pytorch_model.bin is a pointer"),
    "TensorFlow's weights": ({"config.json": CONFIG, "tf_model.h5": HDF5}, "holds tf_model.h5, weights of TensorFlow"),
    "Flax's weights": ({"config.json": CONFIG, "flax_model.msgpack": b"\x81"}, "weights of Flax, and none of PyTorch"),
    "a SavedModel": ({"saved_model.pb": b"\x08", "variables/v.index": b"x"}, "tf2onnx.convert --saved-model .*folder"),
    "Keras": ({"config.json": b"{}", "model.weights.h5": HDF5}, "is a model of Keras"),
    "Core ML": ({"Manifest.json": b"{}"}, "is a package of Core ML"),
    "GGUF": ({"model-Q4.gguf": GGUF}, "the folder holds model-Q4.gguf, of llama.cpp"),
    "an ONNX file below": ({"config.json": CONFIG, "onnx/model.onnx": GRAPH}, "name that file: .*/onnx/model.onnx"),
    "diffusers": ({"model_index.json": b"{}", "unet/config.json": CONFIG}, "is a pipeline of diffusers"),
    "a checkpoint in parts": ({".metadata": b"x", "__0_0.distcp": b"x"}, "format_utils dcp_to_torch .*folder weights"),
    "settings alone": ({"config.json": CONFIG}, "has no model.safetensors; wanted a folder of save_pretrained"),
    "settings that are no JSON": ({"config.json": b"{", "model.safetensors": SAFE}, "config.json is not JSON"),
    "cut off": (
        {"config.json": CONFIG, "model.safetensors": SAFE[:-5], "preprocessor_config.json": b"{}"},
        "model.safetensors is cut off: 'layer.weight' ends 5 bytes after",
    ),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_one_sentence_about_a_folder(name: str, tmp_path: Path) -> None:
    files, message = FOLDERS[name]
    folder = tmp_path / "folder"
    folder.mkdir()
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    said = refused(folder, tmp_path)
    assert re.search(message, said), said


def test_a_pickle_beside_safetensors_is_left_alone(tmp_path: Path) -> None:
    """As many repositories have it."""
    folder = save_folder(vit(), tmp_path / "folder")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(LinearRegression()))
    new(folder, tmp_path / "model")
    held = {path.name for path in (tmp_path / "model" / "model" / "weights").iterdir()}
    assert "model.safetensors" in held
    assert "pytorch_model.bin" not in held


def test_a_checkpoint_called_tar_is_none(tmp_path: Path) -> None:
    """As ImageNet's training scripts call it."""
    torch.save({"epoch": 3, "state_dict": resnet18(num_classes=3).state_dict()}, tmp_path / "model_best.pth.tar")
    spec = new(tmp_path / "model_best.pth.tar", tmp_path / "model", Options(architecture="resnet18"))
    assert "factory: torchvision.models.resnet.resnet18" in spec.read_text()


def test_what_is_neither_file_nor_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "link.pth").symlink_to(tmp_path / "nowhere")
    assert "is neither a file nor a folder" in refused(tmp_path / "pipe.pth", tmp_path)
    assert "does not exist" in refused(tmp_path / "link.pth", tmp_path)
