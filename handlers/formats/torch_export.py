"""Checks a `.pt2` of torch.export by torch's own schema (torch/_export/serde/schema.py), and refuses code.

torch.export.load unpickles payloads marked `use_pickle`, custom objects, sample inputs and weights of older versions;
it loads shared libraries of AOTInductor, evaluates sizes and guards as Python, and imports what a tree of inputs
names. All of that is refused, except for the sample inputs, which nobody needs: torch gets the file without them.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from handlers.formats import json_file, zip_file
from handlers.formats.errors import UnsafeFile
from handlers.formats.symbolic import is_guard, is_size

MAX_JSON_BYTES = 128 << 20
MAX_JSON_DEPTH = 200  # graphs are nested in graphs
MODEL = "models/model.json"
CONFIGS = {
    "data/weights/": "data/weights/model_weights_config.json",
    "data/constants/": "data/constants/model_constants_config.json",
}
SAMPLE = "data/sample_inputs/model.pt"
MEMBERS = re.compile(
    r"^(archive_format|archive_version|byteorder|version|\.data/\w+|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/weights/(weight_\d+|model_weights_config\.json)|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|extra/[\w./-]+)$"
)
# Bytes per element, by the number of torch's ScalarType.
ITEM_BYTES = {
    **{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 2, 7: 4, 8: 8, 9: 4, 10: 8, 11: 16, 12: 1, 13: 2, 28: 2},
    **{29: 1, 30: 1, 31: 1, 32: 1},
}

# Operators by namespace; aten's two that read and write files are excluded below.
TARGET = re.compile(
    r"^(torch\.ops\.(aten|prims|torchvision|quantized|quantized_decomposed|_quantized)\.\w+(\.\w+)?"
    r"|torch\.ops\.higher_order\.(cond|map_impl|scan|while_loop|associative_scan|wrap_with_set_grad_enabled"
    r"|wrap_with_autocast)"
    r"|torch\.sym_\w+|math\.(trunc|ceil|floor|sqrt)|_operator\.(eq|ne|le|ge|lt|gt|neg|pos|mul|add|sub|floordiv|mod|pow"
    r"|truediv|and_|or_|lshift|rshift|getitem))$"
)
FILE_OPERATORS = re.compile(r"\.aten\.(from_file|save)\b")
# Names that become part of Python source, which torch writes and runs.
NAME_KEYS = {"name", "as_name", "parameter_name", "buffer_name", "tensor_constant_name", "custom_obj_name", "fqn"}
NAME = re.compile(r"^[A-Za-z0-9_.]*$")
TREES = {"in_spec", "out_spec"}
TREE_KEY = re.compile(r"^\w[\w. -]*$")


def check(path: Path) -> None:
    """Raise UnsafeFile if `path` is not a .pt2, or would run code when torch reads it."""
    with zip_file.opened(path) as archive:
        members(archive)


def without_samples(path: Path) -> io.BytesIO:
    """The program for torch.export.load, copied from the open file that was checked, without sample inputs."""
    with zip_file.opened(path) as program:
        root, content = members(program), io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for entry in program.infolist():
                archive.writestr(
                    entry.filename, b"" if entry.filename == f"{root}/{SAMPLE}" else read(program, entry.filename)
                )
    content.seek(0)
    return content


def members(archive: zipfile.ZipFile) -> str:
    """Check all members; returns the folder that they are in."""
    for name, what in zip_file.problems(archive):
        raise UnsafeFile(f"{name} {what}")
    roots = {name.partition("/")[0] for name in archive.namelist()}
    if len(roots) != 1:
        raise UnsafeFile("is not a .pt2: wanted a single folder in it")
    [root] = roots
    names = {name.partition("/")[2] for name in archive.namelist()}
    for name in sorted(names):
        if not MEMBERS.match(name):
            raise UnsafeFile(refusal(name))
    for name in ("archive_format", "archive_version", MODEL, SAMPLE, *CONFIGS.values()):
        if name not in names:
            raise UnsafeFile(f"is not a .pt2 of torch.export.save: {name} is missing")
    if read(archive, f"{root}/archive_format") != b"pt2":
        raise UnsafeFile("is not a .pt2: its archive_format is not pt2")
    for folder, config in CONFIGS.items():
        check_payloads(archive, root, folder, load(archive, f"{root}/{config}"))
    check_program(load(archive, f"{root}/{MODEL}"))
    return root


def refusal(name: str) -> str:
    if "custom_obj" in name or name.endswith((".pt", ".pkl", ".pth")) or "serialized_" in name:
        return f"{name[:80]} is a pickle, which runs code when it is loaded; export it again with this torch"
    if name.startswith("data/aotinductor") or name.endswith((".so", ".cpp", ".o", ".cubin")):
        return f"{name[:80]} is compiled code, which runs when it is loaded; use torch.export.save"
    return f"{name[:80]} is not part of a .pt2 of torch.export.save"


def read(archive: zipfile.ZipFile, name: str) -> bytes:
    return zip_file.read(archive, name, archive.getinfo(name).file_size)


def load(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    value = json_file.loads(zip_file.read(archive, name, MAX_JSON_BYTES), name, MAX_JSON_DEPTH)
    if not isinstance(value, dict):
        raise UnsafeFile(f"{name}: wanted an object")
    return value


def check_payloads(archive: zipfile.ZipFile, root: str, folder: str, config: dict[str, Any]) -> None:
    """Raise UnsafeFile unless every tensor is plain bytes, as many as its shape needs."""
    entries = config.get("config")
    if not isinstance(entries, dict):
        raise UnsafeFile(f"{CONFIGS[folder]}: wanted config, an object")
    for name, entry in entries.items():
        if not NAME.match(name) or not isinstance(entry, dict):
            raise UnsafeFile(f"{CONFIGS[folder]}: {name[:80]!r} is not a tensor's name")
        if entry.get("use_pickle") is not False:
            raise UnsafeFile(f"{name[:80]} is a pickle, which runs code when it is loaded; wanted plain tensors")
        member, meta = f"{root}/{folder}{entry.get('path_name')}", entry.get("tensor_meta")
        if member not in archive.namelist() or not isinstance(meta, dict):
            raise UnsafeFile(f"{name[:80]}: its tensor is missing")
        try:
            needed = storage_bytes(meta)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise UnsafeFile(f"{name[:80]}: its shape cannot be read") from None
        if needed > archive.getinfo(member).file_size:
            raise UnsafeFile(f"{name[:80]} needs {needed:.3g} bytes; there are {archive.getinfo(member).file_size}")


def storage_bytes(meta: dict[str, Any]) -> int:
    """Bytes of a tensor's storage up to the end of its last element."""
    sizes, strides = ([number(part) for part in meta[key]] for key in ("sizes", "strides"))
    offset, item = number(meta["storage_offset"]), ITEM_BYTES[meta["dtype"]]
    if not math.prod(sizes):
        return 0
    return (offset + 1 + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))) * item


def number(value: dict[str, Any]) -> int:
    integer = value["as_int"]
    if type(integer) is not int or not 0 <= integer < 1 << 62:
        raise ValueError(integer)
    return integer


def check_program(program: dict[str, Any]) -> None:
    for guard in program.get("guards_code") or []:
        if not isinstance(guard, str) or not is_guard(guard):
            raise UnsafeFile(f"its guard {str(guard)[:80]!r} is not a comparison of shapes")
    for key, value in json_file.walk(program):
        for problem in check_value(key, value):
            raise UnsafeFile(problem)


def check_value(key: str, value: Any) -> Iterator[str]:
    """The problems of one key of the program."""
    if key == "expr_str" and not (isinstance(value, str) and is_size(value)):
        yield f"its size {str(value)[:80]!r} is not arithmetic"
    elif key in ("target", "as_operator") and isinstance(value, str):
        if not TARGET.match(value) or FILE_OPERATORS.search(value):
            yield f"its operator {value[:80]!r} is not one of torch's or torchvision's compute operators"
    elif key in NAME_KEYS and isinstance(value, str) and not NAME.match(value):
        yield f"{value[:80]!r} is not a name"
    elif key == "forward_arg_names" and not all(isinstance(name, str) and name.isidentifier() for name in value or []):
        yield "its arguments' names are not identifiers"
    elif key in ("as_custom_obj", "custom_obj") or (key == "custom_obj_values" and value):
        yield "it holds a custom object, which only a pickle can store"
    elif key in TREES and not (isinstance(value, str) and is_tree(value)):
        yield f"its tree of inputs or outputs, {str(value)[:80]!r}, would import code"
    elif key in ("tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values") and isinstance(value, dict):
        yield from (f"{name[:80]!r} is not a name" for name in value if not NAME.match(name))


def is_tree(text: str) -> bool:
    """Whether a tree of torch.utils._pytree has only plain keys; reading it imports classes that it names."""
    try:
        tree = json.loads(text)
        return all(is_context(value) for key, value in json_file.walk(tree) if key == "context")
    except (ValueError, RecursionError):
        return False


def is_context(context: Any) -> bool:
    if context is None:
        return True
    if not isinstance(context, str):
        return False
    if TREE_KEY.match(context):
        return True  # the name of a registered tuple
    try:
        keys = json.loads(context)
    except (ValueError, RecursionError):
        return False
    return keys is None or (
        isinstance(keys, list)
        and all(isinstance(key, int) or (isinstance(key, str) and TREE_KEY.match(key)) for key in keys)
    )
