"""torchvision, imported without torch's compiler.

Two of its modules import torch._dynamo, for a question that only deterministic training on a GPU asks and to leave one
function out of compilation; with sympy and the rest behind it that is more than half of an image worker's start and
100 MB of its memory. Import this module before torchvision: both names then wait until somebody calls them. The
compiler itself stays as it is, and is imported by whoever uses it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

COMPILER, QUESTIONS = "torch._dynamo", "torch._dynamo.utils"


def is_compile_supported(device_type: str) -> bool:
    from torch._dynamo.utils import is_compile_supported as answer

    supported: bool = answer(device_type)
    return supported


def disable(function: Callable[..., Any], *arguments: Any, **named: Any) -> Callable[..., Any]:
    """As if it were compiled: nothing here compiles torchvision's transforms."""
    return function


@contextmanager
def without_compiler() -> Iterator[None]:
    """Stand in for the compiler while torchvision is imported; nothing where the compiler is there already."""
    if COMPILER in sys.modules:
        yield
        return
    compiler, questions = ModuleType(COMPILER), ModuleType(QUESTIONS)
    vars(compiler).update(disable=disable, utils=questions)
    vars(questions).update(is_compile_supported=is_compile_supported)
    before = vars(torch).get("_dynamo")
    sys.modules.update({COMPILER: compiler, QUESTIONS: questions})
    vars(torch)["_dynamo"] = compiler
    try:
        yield
    finally:
        del sys.modules[COMPILER], sys.modules[QUESTIONS], vars(torch)["_dynamo"]
        if before is not None:
            vars(torch)["_dynamo"] = before


with without_compiler():
    import torchvision.transforms.v2  # noqa: F401
