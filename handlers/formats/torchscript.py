"""A `.pt` of torch.jit.save: torch's C++ reader builds tensors and its own language from it, and runs no Python.

What that language can reach outside of its model are operators that read and write files: they are refused. So is code
that names operators unlike torch prints them, such as `t = torch` or `getattr(ops, "aten")`: it could call any of them
unseen.
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
# The names from which operators are reached; `self.ops` and `__torch__.torchvision.ops` are others.
ROOT = re.compile(r"(?<![\w.])(?:torch|ops)\b", re.ASCII)
# As torch prints them: an operator's call, and the declaration of a module's attribute `ops`.
CALL = re.compile(r"torch\.(\w+)\(|ops\.(\w+)\.(\w+)\(", re.ASCII)
ATTRIBUTE = re.compile(r"^ +ops : ", re.ASCII | re.MULTILINE)
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
# Torch prints strings in double quotes alone, and no comments: with these, strings may end elsewhere than they seem to.
UNPRINTED = re.compile(r"""['#\\]|\"\"\"""")
BACKEND = "__backends__"


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
    if BACKEND in code:
        raise UnsafeFile("its code is compiled for a backend of its own")
    plain = STRING.sub('""', code)
    plain = ATTRIBUTE.sub("", code if UNPRINTED.search(plain) else plain)
    for root in ROOT.finditer(plain):
        call = CALL.match(plain, root.start())
        if call is None:
            line = plain[root.start() :].partition("\n")[0][:80]
            raise UnsafeFile(f"its code names operators unlike torch prints them: {line!r}")
        torchs, namespace, name = call.groups()
        called = f"torch.{torchs}" if torchs else f"ops.{namespace}.{name}"
        if (torchs or name) in FILES and namespace in (None, "aten"):
            raise UnsafeFile(f"its code calls {called}, which reads or writes files")
        if namespace not in (None, *NAMESPACES):
            raise UnsafeFile(f"its code calls {called}, which is not one of torch's that only compute")
