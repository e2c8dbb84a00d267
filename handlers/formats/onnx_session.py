"""ONNX Runtime's session for a user's file: why it cannot be created, and which inputs it may have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from handlers.formats.errors import UnsafeFile
from handlers.formats.onnx import TYPES

OPSET = re.compile(
    r"Opset (\d+) is under development.*official support for domain (\S+) is till opset (\d+)", re.DOTALL
)
IR_VERSION = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
# Before the message itself: the file's path, and the place in ONNX Runtime's source.
PLACE = re.compile(r"^.*? failed:\s*(?:/\S+:\d+ .*?\)\s+(?=[A-Z]))?", re.DOTALL)
MAX_SAID = 200


def refusal(error: Exception, version: str) -> str:
    """Why the file cannot be loaded, in one sentence without its name. error, version: ONNX Runtime's."""
    text = str(error)
    if found := OPSET.search(text):
        own, domain, highest = found.groups()
        return (
            f"uses opset {own} of {domain}; ONNX Runtime {version} reads up to opset {highest}: export it with "
            f"opset_version={highest} or lower"
        )
    if found := IR_VERSION.search(text):
        own, highest = found.groups()
        return (
            f"uses version {own} of ONNX's format (ir_version); ONNX Runtime {version} reads up to {highest}: export "
            "it with an older version of onnx, or set model.ir_version and save it again"
        )
    line = " ".join(PLACE.sub("", text, count=1).split())
    return f"ONNX Runtime {version} cannot load it: {(line or type(error).__name__)[:MAX_SAID]}"


def inputs_of(inputs: Sequence[Any]) -> tuple[Any, Any]:
    """The first of a session's inputs, which the model looks at, and the second of shape (N, 2) that some detectors
    take for the height and width of the images, or None. Raises UnsafeFile if there are others."""
    first, *others = inputs
    if first.type not in TYPES:
        raise UnsafeFile(f"its input {first.name} is {first.type}; wanted {', '.join(TYPES)}")
    if len(others) > 1 or any(len(other.shape) != 2 or other.shape[1] != 2 for other in others):
        names = ", ".join(value.name for value in inputs)[:MAX_SAID]
        raise UnsafeFile(
            f"it has the inputs {names}; wanted one, and at most one more of shape (N, 2) after it for the size of "
            "the images: export it with the others as constants"
        )
    return first, next(iter(others), None)
