"""Reads an ONNX file: its inputs, outputs and metadata, and the task that follows from them."""

from __future__ import annotations

import ast
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver.new import beside
from archiver.new.exported_detector import output_of
from archiver.new.findings import Findings, Setting, check_untokenized, refused, wanted_task
from archiver.new.labels import placeholders
from archiver.tasks import TASKS
from handlers.formats.errors import UnsafeFile
from handlers.formats.onnx import TYPES, check_model, external_files
from handlers.formats.onnx_session import inputs_of, refusal

# Task names in Ultralytics' exports.
ULTRALYTICS = {"detect": "object-detection", "classify": "image-classification"}
IMAGES = (
    *("image-classification", "image-embedding", "object-detection"),
    *("semantic-segmentation", "depth-estimation"),
)
MORE_THAN_BOXES = ("instance-segmentation", "keypoint-detection")
OTHERS = ("policy", "audio-classification", "audio-embedding", "voice-activity")
# The dimensions of the first output, and what they are.
OUTPUTS = {
    "semantic-segmentation": ((4,), "(N, classes, height, width)"),
    "depth-estimation": ((3, 4), "(N, height, width)"),
}
Shape = tuple[int | str | None, ...]


@dataclass(frozen=True)
class Signature:
    """inputs, outputs: shapes by name; a dimension is a size, a name, or None. last: the operators that compute the
    outputs. metadata: the exporter's. levels: whether images are passed as bytes (0 to 255).
    """

    inputs: dict[str, Shape]
    outputs: dict[str, Shape]
    last: set[str]
    metadata: dict[str, str]
    levels: bool

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the images, if the file supports only one size."""
        shape = next(iter(self.inputs.values()))
        sides = shape[1:3] if shape[3] == 3 and shape[1] != 3 else shape[2:4]
        fixed = [side for side in sides if isinstance(side, int) and side > 0]
        return (fixed[0], fixed[1]) if len(fixed) == 2 else None


def read(path: Path, task: str | None) -> Findings:
    try:
        check_model(path)
        external = external_files(path)
    except UnsafeFile as error:
        raise refused(path, str(error)) from None
    signature = signature_of(path)
    session = session_of(path)
    signature = measured(path, signature, session)
    task = task_of(path, signature, task)
    files = {"weights.onnx": path, **{name: path.parent / name for name in external}}
    kind = "an ONNX file"
    if task in OTHERS:
        last = next(iter(signature.outputs.values()))[-1]
        classes = last if TASKS[task].classes and isinstance(last, int) else None
        settings, missing = beside.preprocessing_of(path, task)
        labels, source = beside.labels_of(path, classes) if TASKS[task].classes else ([], "")
        if not labels and classes:
            labels, source = placeholders(classes), "CHECK: placeholders, the file has no names"
        return Findings(kind, task, "onnx", "weights.onnx", files, labels, source, classes, settings, missing)
    if task in ("image-embedding", "depth-estimation"):
        depth = task == "depth-estimation"
        setting = beside.depth_transform(signature.size) if depth else beside.transform_of(path, signature.size)
        return Findings(kind, task, "onnx", "weights.onnx", files, settings=of_levels([setting], signature))
    names = names_of(signature)
    classes, settings = model_of(path, signature, task, len(names) or None)
    labels, source = (names, "the file's metadata, names") if names else beside.labels_of(path, classes)
    settings = of_levels(settings, signature)
    missing = [] if labels or classes else ["labels: the name of each class, as --labels FILE"]
    if not labels and classes:
        labels, source = placeholders(classes), "CHECK: placeholders, the file has no names"
    return Findings(kind, task, "onnx", "weights.onnx", files, labels, source, classes, settings, missing)


def signature_of(path: Path) -> Signature:
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        # protobuf's DecodeError has another parent in each of its implementations.
        raise refused(path, f"is not an ONNX graph: {str(error).partition(chr(10))[0]}") from error
    stored = {tensor.name for tensor in model.graph.initializer}
    free = [value for value in model.graph.input if value.name not in stored]
    inputs = {value.name: shape_of(value) for value in free}
    outputs = {value.name: shape_of(value) for value in model.graph.output}
    if not inputs or not outputs:
        raise refused(path, "has no input or no output")
    last = {node.op_type for node in model.graph.node if set(node.output) & outputs.keys()}
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return Signature(inputs, outputs, last, metadata, free[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8)


def session_of(path: Path) -> Any:
    """An ONNX Runtime session whose inputs can be filled in."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:
        # ONNX Runtime's own types, which have no parent in common.
        raise refused(path, refusal(error, onnxruntime.__version__)) from error
    try:
        inputs_of(session.get_inputs())
    except UnsafeFile as error:
        raise refused(path, str(error)) from None
    return session


def measured(path: Path, signature: Signature, session: Any) -> Signature:
    """Fill in output sizes that the exporter left open, by running a black image."""
    shape = next(iter(signature.inputs.values()))
    open_ends = [side for output in signature.outputs.values() for side in output[1:] if not isinstance(side, int)]
    if len(shape) != 4 or len(signature.inputs) > 1 or not open_ends or signature.size is None:
        return signature
    import numpy as np

    try:
        [taken] = session.get_inputs()
        sides = [side if isinstance(side, int) else 1 for side in shape]
        found = session.run(None, {taken.name: np.zeros(sides, TYPES.get(taken.type, "float32"))})
    except Exception as error:
        # ONNX Runtime's own types, which have no parent in common.
        raise refused(path, f"ONNX Runtime cannot run it: {str(error).partition(chr(10))[0][:200]}") from error
    # Without a batch dimension, the number of rows depends on the image.
    sizes = [
        tuple(side if isinstance(side, int) or index == 0 else made.shape[index] for index, side in enumerate(declared))
        for declared, made in zip(signature.outputs.values(), found, strict=True)
    ]
    return dataclasses.replace(signature, outputs=dict(zip(signature.outputs, sizes, strict=True)))


def shape_of(value: Any) -> Shape:
    dimensions = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in dimensions)


def task_of(path: Path, signature: Signature, given: str | None) -> str:
    check_untokenized(path, given)
    if given in MORE_THAN_BOXES:
        said = "masks and keypoints are not read from ONNX files; name its state dict or TorchScript"
        raise refused(path, f"--task {given}: {said}, or serve its boxes with --task object-detection")
    shape = next(iter(signature.inputs.values()))
    if len(shape) == 3 and shape[0] == 3 and given not in OTHERS:
        raise refused(path, "its input is one image, (3, height, width); export it with (1, 3, height, width)")
    if len(shape) != 4:
        return wanted_task(path, given, OTHERS, f"its input has {len(shape)} dimensions, so it takes no images")
    exported = signature.metadata.get("task", "")
    if exported in ULTRALYTICS:
        return wanted_task(
            path, given or ULTRALYTICS[exported], (ULTRALYTICS[exported],), f"its metadata say {exported}"
        )
    if "Ultralytics" in signature.metadata.get("description", "") and exported:
        raise refused(path, f"is an export for {exported}; wanted {' or '.join(ULTRALYTICS)}")
    ranks = [len(output) for output in signature.outputs.values()]
    if given in OUTPUTS and ranks[0] not in OUTPUTS[given][0]:
        found = list(next(iter(signature.outputs.values())))
        raise refused(path, f"its output is {found}; {given} wants {OUTPUTS[given][1]}")
    if given is not None:
        return wanted_task(path, given, IMAGES, "its input is an image")
    first = next(iter(signature.outputs.values()))
    if ranks == [4] and first[1] != 1:
        return "semantic-segmentation"
    if ranks == [4] or (ranks == [3] and first[1:] == signature.size):
        return wanted_task(path, None, IMAGES, "its output is one number for each pixel")
    if ranks == [2] and (first[0] == shape[0] or first[1] not in (6, 7)):
        return "image-classification"
    return "object-detection"


def names_of(signature: Signature) -> list[str]:
    """Ultralytics' class names, from a Python dictionary: {0: 'person', …}."""
    try:
        names = ast.literal_eval(signature.metadata.get("names", ""))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or sorted(names) != list(range(len(names))):
        return []
    return [str(names[index]) for index in range(len(names))]


def model_of(path: Path, signature: Signature, task: str, names: int | None) -> tuple[int | None, list[Setting]]:
    """(classes, settings) of an image model."""
    size = signature.size
    first = next(iter(signature.outputs.values()))
    if task == "object-detection":
        classes, setting = output_of(path, signature.inputs, signature.outputs, size, names)
        return classes, [setting]
    found = first[1] if len(first) > 1 else None
    classes = found if isinstance(found, int) else names
    transform = beside.transform_of(path, size)
    if signature.metadata.get("task") == "classify":
        side = (size or (224, 224))[0]
        values = {"resize": side, "crop": [side, side], "mean": [0.0] * 3, "std": [1.0] * 3}
        transform = Setting("preprocessing", values, "as Ultralytics classifies")
    if task == "image-classification" and "Softmax" in signature.last:
        transform = with_value(transform, "activation", "none")
    if task == "image-classification" and "Sigmoid" in signature.last:
        transform = with_value(with_value(transform, "activation", "none"), "multi_label", True)
    if task == "semantic-segmentation":
        transform = with_value(transform, "background", None)
    return classes, [transform]


def of_levels(settings: list[Setting], signature: Signature) -> list[Setting]:
    """Adapt settings for a file that takes images as bytes and normalises them itself."""
    if not signature.levels:
        return settings
    values = {"mean": [0.0] * 3, "std": [1 / 255] * 3}
    comment = "the file takes levels from 0 to 255, so it normalises them itself"
    return [dataclasses.replace(each, value={**each.value, **values}, comment=comment) for each in settings]


def with_value(setting: Setting, key: str, value: Any) -> Setting:
    return Setting(setting.key, {**setting.value, key: value}, setting.comment, setting.certain)
