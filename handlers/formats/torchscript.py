"""A `.pt` of torch.jit.save: torch's C++ reader builds tensors and its own language from it, and runs no Python.

What that language can reach outside of its model are operators that read and write files: they are refused.
"""

from __future__ import annotations

import re
from pathlib import Path

from handlers.formats import zip_file
from handlers.formats.errors import UnsafeFile

MAX_CODE_BYTES = 64 << 20
# As the code of a module is printed: `torch.save(…)`, `ops.image.read_file(…)`.
FILES = re.compile(r"\btorch\.(from_file|save)\b|\bops\.aten\.(from_file|save)\b")
NAMESPACES = {
    "aten",
    "prim",
    "prims",
    "torchvision",
    "torchaudio",
    "quantized",
    "_quantized",
    "onednn",
    "mkldnn",
    "prepacked",
}
OPERATOR = re.compile(r"\bops\.(\w+)\.(\w+)")
BACKEND = re.compile(r"__torch__\.torch\.classes\.__backends__")


def check(path: Path) -> None:
    """UnsafeFile where `path` is not TorchScript, or its code reaches for files."""
    with zip_file.opened(path) as found:
        for name, what in zip_file.problems(found):
            raise UnsafeFile(f"{name} {what}")
        names = found.namelist()
        roots = {name.partition("/")[0] for name in names}
        # A plain torch.save has data.pkl alone, which only a pickle's reader opens.
        if len(roots) != 1 or not {f"{root}/constants.pkl" for root in roots} <= set(names):
            raise UnsafeFile("is not TorchScript; a plain torch.save is a pickle: use torch.jit.save, or safetensors")
        left = MAX_CODE_BYTES
        for name in names:
            if name.endswith(".py"):
                code = zip_file.read(found, name, left)
                left -= len(code)
                check_code(code.decode("utf-8", "replace"))


def check_code(code: str) -> None:
    if reached := FILES.search(code):
        raise UnsafeFile(f"its code calls {reached[0]}, which reads or writes files")
    for namespace, name in OPERATOR.findall(code):
        if namespace not in NAMESPACES:
            raise UnsafeFile(f"its code calls ops.{namespace}.{name}, which is not one of torch's that only compute")
    if BACKEND.search(code):
        raise UnsafeFile("its code is compiled for a backend of its own")
