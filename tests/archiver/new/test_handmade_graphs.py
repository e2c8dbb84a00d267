"""ONNX graphs of every opset and type, and those that cannot be run."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from archiver.errors import SpecError
from archiver.new.kinds import Options
from tests.archiver.new.test_variants import PIXELS, SIDE, check
from tests.new_models import new, served

WEIGHTS = np.random.default_rng(2).normal(size=(3, 3, 8, 8)).astype(np.float32) / 5


def handmade(path: Path, opset: int = 21, ir_version: int = 10, **changes: Any) -> Path:
    """A convolution and a mean. changes: `dtype` of the input, further `inputs`, or nodes in `front`."""
    dtype = changes.get("dtype", TensorProto.FLOAT)
    inputs = [helper.make_tensor_value_info("images", dtype, ["batch", 3, SIDE, SIDE]), *changes.get("inputs", [])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])]
    front = changes.get("front", [])
    nodes = [
        *front,
        helper.make_node("Conv", ["prepared" if front else "images", "weights"], ["maps"], strides=[8, 8]),
        helper.make_node("GlobalAveragePool", ["maps"], ["means"]),
        helper.make_node("Flatten", ["means"], ["logits"]),
    ]
    tensors = changes.get("tensors", [numpy_helper.from_array(WEIGHTS, "weights")])
    graph = helper.make_graph(nodes, "handmade", inputs, outputs, tensors)
    operators = [helper.make_opsetid("", opset)] if opset else []
    onnx.save(helper.make_model(graph, opset_imports=operators, ir_version=ir_version), path)
    return path


def quantized() -> dict[str, Any]:
    """Images and weights of 8 bits, as static quantization writes them (QDQ)."""
    scale = np.abs(WEIGHTS).max() / 127
    tensors = {"bytes": np.round(WEIGHTS / scale).astype(np.int8), "scale": np.float32(scale)}
    tensors |= {"step": np.float32(0.04), "zero": np.uint8(128)}
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "step", "zero"], ["quantized"]),
        helper.make_node("DequantizeLinear", ["quantized", "step", "zero"], ["prepared"]),
        helper.make_node("DequantizeLinear", ["bytes", "scale"], ["weights"]),
    ]
    return {"front": nodes, "tensors": [numpy_helper.from_array(np.asarray(v), name) for name, v in tensors.items()]}


HANDMADE: dict[str, dict[str, Any]] = {
    **{f"of opset {opset}": {"opset": opset} for opset in (21, 22, 23)},
    **{f"of version {version} of the format": {"ir_version": version} for version in (4, 12)},
    "of 8 bits": quantized(),
    "with a default for its second input": {
        "inputs": [helper.make_tensor_value_info("factor", TensorProto.FLOAT, [1])],
        "front": [helper.make_node("Mul", ["images", "factor"], ["prepared"])],
        "tensors": [numpy_helper.from_array(WEIGHTS, "weights"), numpy_helper.from_array(np.ones(1, "f"), "factor")],
    },
}


@pytest.mark.parametrize("kind", HANDMADE)
def test_a_graph_answers_as_onnx_runtime_does(kind: str, tmp_path: Path, labels: Path) -> None:
    path = handmade(tmp_path / "weights.onnx", **HANDMADE[kind])
    [logits] = onnxruntime.InferenceSession(path).run(None, {"images": PIXELS.numpy()})
    check(served(path, tmp_path / "model", Options(labels=labels), backend="auto"), torch.from_numpy(logits), 1e-5)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "of a later opset": (
        {"opset": 99},
        r"uses opset 99 of ai\.onnx; ONNX Runtime [\d.]+ reads up to opset \d+",
    ),
    "of a later version": ({"ir_version": 99}, r"uses version 99 of ONNX's format \(ir_version\); ONNX Runtime"),
    "of no opset": ({"opset": 0}, r"ONNX Runtime [\d.]+ cannot load it: Missing opset in the model"),
    "of whole numbers": (
        {"dtype": TensorProto.INT64, "front": [helper.make_node("Cast", ["images"], ["prepared"], to=1)]},
        r"its input images is tensor\(int64\); wanted tensor\(float\)",
    ),
    "of several inputs": (
        {
            "inputs": [helper.make_tensor_value_info("factor", TensorProto.FLOAT, [1])],
            "front": [helper.make_node("Mul", ["images", "factor"], ["prepared"])],
        },
        "it has the inputs images, factor; wanted one, and at most one more",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_graph_that_cannot_be_run_is_refused_in_one_sentence(kind: str, tmp_path: Path, labels: Path) -> None:
    changes, message = REFUSED[kind]
    path = handmade(tmp_path / "weights.onnx", **changes)
    with pytest.raises(SpecError, match=message) as refused:
        new(path, tmp_path / "model", Options(labels=labels))
    assert "onnxruntime_src" not in str(refused.value)
    assert len(refused.value.problems[0].what) < 300
