"""Tells the format of a file by its content, and names what is wrong with files that are not weights."""

from __future__ import annotations

import pickletools
from pathlib import Path

from archiver.new.findings import refused
from handlers.formats import safetensors, zip_file
from handlers.formats.errors import UnsafeFile
from handlers.formats.onnx import check_model

POINTER = b"version https://git-lfs"
HEAD_BYTES = 512
# The number that a file of torch.save's older format begins with, as pickles have it.
LEGACY = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
SAVED = (".pt", ".pth", ".bin", ".ckpt", ".torchscript", ".ts", ".tar")
TORCHSCRIPT = "TorchScript"
# The suffixes under which each format is read.
SUFFIXES = {
    "safetensors": (".safetensors",),
    "an ONNX file": (".onnx",),
    "a .pt2 of torch.export": (".pt2",),
    "a file of torch.save": SAVED,
    TORCHSCRIPT: SAVED,
    "an archive of TorchServe": (".mar",),
}
READ = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}
# What is not read, by where in the file its mark is.
OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, POINTER, "is a pointer of Git LFS and not the file itself, which `git lfs pull` fetches"),
    (0, b"GGUF", "is GGUF, llama.cpp's format; wanted the safetensors that it was made of"),
    (0, b"\x89HDF\r\n\x1a\n", "is HDF5, as Keras writes it; convert it to ONNX with tf2onnx"),
    (4, b"TFL3", "is a model of TensorFlow Lite; convert it to ONNX with tf2onnx"),
    (0, b"\x93NUMPY", "is an array of NumPy, which does not say of which model it is; wanted a state dict"),
    (0, b"\x1f\x8b", "is compressed by gzip; unpack it first"),
    (0, b"BZh", "is compressed by bzip2; unpack it first"),
    (0, b"\xfd7zXZ\x00", "is compressed by xz; unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "is compressed by zstd; unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it first"),
    (0, b"Rar!", "is a rar archive; unpack it first"),
    (257, b"ustar", "is a tar archive; unpack it first"),
)
TEXT = frozenset(b"\t\n\r" + bytes(range(0x20, 0x7F)))
PAGES = (b"<!doctype html", b"<html", b"<?xml")


def check(path: Path) -> str:
    """The file's format, a key of SUFFIXES, or "" if its content does not tell.

    Raises SpecError if the format differs from the name, or is not one of weights, with what to do about it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise refused(path, f"cannot be read: {error.strerror}") from None
    if problem := not_weights(path, head):
        raise refused(path, problem)
    found = form_of(path, head)
    if found and path.suffix.lower() not in SUFFIXES[found]:
        raise refused(path, f"is {found} under another name; rename it to {path.stem}{SUFFIXES[found][0]}")
    return found


def is_pointer(path: Path) -> bool:
    """Whether Git LFS left it in place of a file."""
    if path.stat().st_size > HEAD_BYTES:
        return False
    return path.read_bytes().startswith(POINTER)


def not_weights(path: Path, head: bytes) -> str:
    """Why nothing here reads such a file; "" where something may."""
    if not head:
        return "is empty; copy or download it again"
    for place, mark, what in OTHERS:
        if head[place:].startswith(mark):
            return what
    if head.lstrip().lower().startswith(PAGES):
        return "is a web page, as a download that needs a login or another address returns; download it again"
    if head.startswith(b"PK\x03\x04"):
        return of_zip(path)
    if head.startswith(b"\x80") and not form_of(path, head):
        return of_pickle(path)
    if path.suffix.lower() in READ and all(byte in TEXT for byte in head):
        return f"is a text that begins with {head[:40].decode().strip()!r}; copy or download it again"
    return ""


def of_zip(path: Path) -> str:
    try:
        names = names_in(path)
    except UnsafeFile:
        return "is cut off or broken: its zip has no directory of files; copy or download it again"
    if "model.weights.h5" in names:
        return "is a model of Keras; convert it: model.export('model.onnx', format='onnx')"
    if names and all(name.endswith(".npy") for name in names):
        return "holds arrays of NumPy, which do not say of which model they are; wanted a state dict"
    return "" if form_of_zip(names) else "is a zip of other files; unpack it first"


def of_pickle(path: Path) -> str:
    """Of an object, which is named without loading it."""
    name = ""
    try:
        with path.open("rb") as file:
            texts: list[str] = []
            for opcode, value, _ in pickletools.genops(file):
                if opcode.name == "GLOBAL":
                    name = str(value).replace(" ", ".")
                elif opcode.name == "STACK_GLOBAL" and len(texts) > 1:
                    name = ".".join(texts[-2:])
                elif isinstance(value, str):
                    texts.append(value)
                if name:
                    break
    except (ValueError, OSError):
        return "begins as a pickle and is broken or cut off; copy or download it again"
    made = f" of {name[:80]}" if name else ""
    advice = "export it to ONNX with skl2onnx" if name.startswith("sklearn.") else "save its state dict with torch.save"
    return f"is a pickle{made} that torch.save did not write, and would run code when it is loaded; {advice}"


def form_of(path: Path, head: bytes) -> str:
    """Of those that are read; "" where it is none, or cut off."""
    if head.startswith(b"PK\x03\x04"):
        return form_of_zip(names_in(path))
    if LEGACY in head[:40]:
        return "a file of torch.save"
    if is_safetensors(path, head):
        return "safetensors"
    if head.startswith(b"\x08"):  # the version of its format, the first field
        try:
            check_model(path)
        except UnsafeFile:
            return ""
        return "an ONNX file"
    return ""


def is_safetensors(path: Path, head: bytes) -> bool:
    """Whether it begins with the length of a header, and with one."""
    length = int.from_bytes(head[:8], "little")
    return length <= min(safetensors.MAX_HEADER_BYTES, path.stat().st_size - 8) and head[8:].startswith(b"{")


def names_in(path: Path) -> list[str]:
    """Of a zip's members. Raises UnsafeFile if its directory cannot be read or is too large."""
    with zip_file.opened(path) as found:
        return found.namelist()


def form_of_zip(names: list[str]) -> str:
    inner = {name.partition("/")[2] for name in names}
    if "MAR-INF/MANIFEST.json" in names:
        return "an archive of TorchServe"
    if "archive_format" in inner:
        return "a .pt2 of torch.export"
    if "constants.pkl" in inner:
        return TORCHSCRIPT
    return "a file of torch.save" if "data.pkl" in inner else ""
