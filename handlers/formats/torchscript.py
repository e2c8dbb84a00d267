"""A `.pt` of torch.jit.save: torch's C++ reader loads tensors and code in its own language, and runs no Python.

This code can reach outside its model only through operators that read and write files; these are refused. So is code
that refers to operators in a form that torch does not print, such as `t = torch` or `getattr(ops, "aten")`, because it
could call any of them unnoticed.
"""

from __future__ import annotations

import re
from pathlib import Path

from handlers.formats import zip_file
from handlers.formats.errors import UnsafeFile

MAX_CODE_BYTES = 64 << 20
FILES = {"from_file", "save"}
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
# The names through which operators are reached, unlike `self.ops` and `__torch__.torchvision.ops`.
ROOT = re.compile(r"(?<![\w.])(?:torch|ops)\b", re.ASCII)
# As torch prints them: an operator's call, and the declaration of a module's attribute `ops`.
CALL = re.compile(r"torch\.(\w+)\(|ops\.(\w+)\.(\w+)\(", re.ASCII)
ATTRIBUTE = re.compile(r"^ +ops : ", re.ASCII | re.MULTILINE)
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
# Torch prints strings only in double quotes, and no comments; with any of these, a string may end elsewhere.
UNPRINTED = re.compile(r"""['#\\]|\"\"\"""")
BACKEND = "__backends__"


def check(path: Path) -> None:
    """Raise UnsafeFile if `path` is not TorchScript, or its code accesses files."""
    with zip_file.opened(path) as archive:
        for name, what in zip_file.problems(archive):
            raise UnsafeFile(f"{name} {what}")
        names = archive.namelist()
        roots = {name.partition("/")[0] for name in names}
        # A plain torch.save has only data.pkl, which has to be unpickled.
        if len(roots) != 1 or not {f"{root}/constants.pkl" for root in roots} <= set(names):
            raise UnsafeFile("is not TorchScript; a plain torch.save is a pickle: use torch.jit.save, or safetensors")
        left = MAX_CODE_BYTES
        for name in names:
            if name.endswith(".py"):
                code = zip_file.read(archive, name, left)
                left -= len(code)
                check_code(code.decode("utf-8", "replace"))


def check_code(code: str) -> None:
    if BACKEND in code:
        raise UnsafeFile("its code is compiled for a special backend")
    plain = STRING.sub('""', code)
    plain = ATTRIBUTE.sub("", code if UNPRINTED.search(plain) else plain)
    for root in ROOT.finditer(plain):
        call = CALL.match(plain, root.start())
        if call is None:
            line = plain[root.start() :].partition("\n")[0][:80]
            raise UnsafeFile(f"its code refers to operators in a form that torch does not print: {line!r}")
        torchs, namespace, name = call.groups()
        called = f"torch.{torchs}" if torchs else f"ops.{namespace}.{name}"
        if (torchs or name) in FILES and namespace in (None, "aten"):
            raise UnsafeFile(f"its code calls {called}, which reads or writes files")
        if namespace not in (None, *NAMESPACES):
            raise UnsafeFile(f"its code calls {called}, which is not one of torch's compute operators")
