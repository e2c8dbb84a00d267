"""A session of ONNX Runtime for somebody's file: why there is none, and which inputs it may have."""

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
# In front of what is said: the file's path, and the place in the source of ONNX Runtime.
PLACE = re.compile(r"^.*? failed:\s*(?:/\S+:\d+ .*?\)\s+(?=[A-Z]))?", re.DOTALL)
MAX_SAID = 200


def refusal(error: Exception, version: str) -> str:
    """Why the file is not loaded, in one sentence without its name. error, version: of ONNX Runtime."""
    said = str(error)
    if found := OPSET.search(said):
        own, domain, highest = found.groups()
        return (
            f"is of opset {own} of {domain}; ONNX Runtime {version} reads up to opset {highest}: export it with "
            f"opset_version={highest} or lower"
        )
    if found := IR_VERSION.search(said):
        own, highest = found.groups()
        return (
            f"is of version {own} of ONNX's format (ir_version); ONNX Runtime {version} reads up to {highest}: export "
            "it with an older version of onnx, or set model.ir_version and save it again"
        )
    line = " ".join(PLACE.sub("", said, count=1).split())
    return f"ONNX Runtime {version} cannot load it: {(line or type(error).__name__)[:MAX_SAID]}"


def inputs_of(inputs: Sequence[Any]) -> tuple[Any, Any]:
    """Of a session's inputs the one that the model looks at, and the second of shape (N, 2) for the height and width of
    the images, as some detectors want it, or None; UnsafeFile where there are others."""
    first, *others = inputs
    if first.type not in TYPES:
        raise UnsafeFile(f"its input {first.name} is {first.type}; wanted {', '.join(TYPES)}")
    if len(others) > 1 or any(len(other.shape) != 2 or other.shape[1] != 2 for other in others):
        names = ", ".join(each.name for each in inputs)[:MAX_SAID]
        raise UnsafeFile(
            f"it has the inputs {names}; wanted one, and at most one more of shape (N, 2) behind it for the size of "
            "the images: export it with the others as constants"
        )
    return first, next(iter(others), None)
