"""Zip files of unknown origin: their directory is checked before a member is read."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import IO, Any

from handlers.formats.errors import UnsafeFile

MAX_MEMBERS = 10_000
MAX_DIRECTORY_BYTES = 8 << 20  # of names and sizes; zipfile reads all of it on opening
# Weights hardly compress, so a file that expands more is a bomb; small text files may expand more.
MAX_EXPANSION = 20
SMALL = 16 << 20
MAX_NAME, MAX_DEPTH = 1024, 32  # characters of a member's name, and folders above it
MAX_PROBLEMS, MAX_SHOWN = 10, 100  # problems in a report, and characters of a name in it
# zipfile inflates others without a limit, and Java, which unpacks archives, supports no others.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# zipfile raises any of these for a broken or foreign zip.
ERRORS = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # an encrypted member, or, as NotImplementedError, an unknown compression
    OverflowError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)
END, END_SIZE = b"PK\x05\x06", 22
HEADER_SIZE = 30  # of a member, without its name
LOCAL, LOCAL_SIGNATURE = struct.Struct("<4sHHHHHIIIHH"), b"PK\x03\x04"
EXTRA, ZIP_64, SIZES_64 = struct.Struct("<HH"), 1, struct.Struct("<QQ")
STREAMED, UTF_8 = 0x8, 0x800  # flags: sizes only after the content; the name's encoding
END_64, LOCATOR_64 = struct.Struct("<4sQHHIIQQQQ"), struct.Struct("<4sIQI")


def opened(path: Path) -> zipfile.ZipFile:
    """Open the zip at `path`. Raises UnsafeFile if it is not a zip, or has more members than anybody needs."""
    try:
        check_file(path)
        if not path.stat().st_size:  # like the kernel's own files, which may never end
            raise OSError("it is empty")
        with path.open("rb") as file:
            check_directory(file)
        archive = zipfile.ZipFile(path)
    except ERRORS as error:
        raise UnsafeFile(f"cannot be read as a zip: {reason(error)}") from None
    if len(archive.infolist()) > MAX_MEMBERS:
        archive.close()
        raise UnsafeFile(f"holds {len(archive.infolist())} files; wanted {MAX_MEMBERS} at most")
    if other := next((entry for entry in archive.infolist() if entry.compress_type not in METHODS), None):
        archive.close()
        raise UnsafeFile(
            f"{shown(other.filename)} is compressed by method {other.compress_type}; wanted deflate or none"
        )
    return archive


def check_file(path: Path) -> None:
    """Raise OSError unless `path` leads to a regular file: a pipe or a device might never end."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device or a socket"
        raise OSError(f"it is {kind}, not a file")


def check_directory(file: IO[bytes]) -> None:
    """Raise BadZipFile unless the directory, by its own account, is small enough to be read whole."""
    size = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, size - END_SIZE - 0xFFFF))
    tail = file.read()
    at = tail.rfind(END)
    if at < 0 or at + END_SIZE > len(tail):
        raise zipfile.BadZipFile("File is not a zip file")
    directory = struct.unpack_from("<I", tail, at + 12)[0]
    locator = start + at - LOCATOR_64.size
    if directory == 0xFFFFFFFF and locator >= 0:
        file.seek(locator)
        _, _, offset, _ = LOCATOR_64.unpack(file.read(LOCATOR_64.size))
        file.seek(min(offset, size))
        record = file.read(END_64.size)
        directory = END_64.unpack(record)[8] if len(record) == END_64.size else 0
    if directory > MAX_DIRECTORY_BYTES:
        raise zipfile.BadZipFile(f"its directory has {directory} bytes; wanted {MAX_DIRECTORY_BYTES} at most")


def problems(archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    """(member, problem) for names that lead elsewhere or are invalid, links, duplicates, overlaps and bombs.

    The members' names are printable, and MAX_PROBLEMS are reported at most, with the number of the others.
    """
    entries = archive.infolist()
    wrong = [(entry.filename, "leads out of the archive's folder") for entry in entries if is_unsafe(entry.filename)]
    wrong += [(entry.filename, what) for entry in entries if (what := wrong_name(entry.orig_filename))]
    wrong += [(entry.filename, "is a link") for entry in entries if stat.S_ISLNK(entry.external_attr >> 16)]
    # Some file systems treat names that look the same as one.
    repeated = Counter(unicodedata.normalize("NFKC", entry.filename) for entry in entries)
    wrong += [(name, "appears twice") for name, count in sorted(repeated.items()) if count > 1]
    wrong += [(name, "overlaps another file in it") for name in overlapping(entries)]
    packed = sum(entry.compress_size for entry in entries)
    size = sum(entry.file_size for entry in entries)
    if size > max(SMALL, MAX_EXPANSION * packed):
        wrong.append(
            ("the file", f"expands from {packed} bytes to {size}; wanted {MAX_EXPANSION} times as many at most")
        )
    reported = [(shown(name), what) for name, what in wrong[:MAX_PROBLEMS]]
    if len(wrong) > MAX_PROBLEMS:
        reported.append(("the file", f"has {len(wrong) - MAX_PROBLEMS} more problems like these"))
    return reported


def overlapping(entries: list[zipfile.ZipInfo]) -> list[str]:
    """Members that begin before the previous one ends, as when many names share one content."""
    names, end = [], 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            names.append(entry.filename)
        end = max(end, entry.header_offset + HEADER_SIZE + entry.compress_size)
    return names


def unlisted(archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    """(member or "the file", problem) if a reader that goes from member to member finds others than those in the
    directory: before the first, between two, or in the header before a member's content.

    TorchServe unpacks archives that way, with Java's ZipInputStream, while Python reads the directory.
    """
    place, file = 0, archive.fp
    for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
        if entry.header_offset != place or file is None:
            break
        try:
            file.seek(place)
            fields = LOCAL.unpack(file.read(LOCAL.size))
            name, extra = file.read(fields[9]), file.read(fields[10])
        except ERRORS as error:
            return [(shown(entry.filename), reason(error))]
        if not describes(fields, name, extra, entry):
            return [(shown(entry.filename), "is described in two ways; wanted a zip as torch-model-archiver writes it")]
        place += LOCAL.size + len(name) + len(extra) + entry.compress_size
    if place == archive.start_dir:
        return []
    return [("the file", f"holds something at byte {place} that is not in its directory; TorchServe would unpack it")]


def describes(fields: tuple[Any, ...], name: bytes, extra: bytes, entry: zipfile.ZipInfo) -> bool:
    """Whether the header before a member's content agrees with the directory, sizes included."""
    signature, _, flags, method, _, _, crc, packed, size, _, _ = fields
    encoded = flags & UTF_8 or name.isascii()  # Java reads all names as UTF-8
    if (signature, flags, method) != (LOCAL_SIGNATURE, entry.flag_bits, entry.compress_type) or flags & STREAMED:
        return False
    sizes, large = (entry.file_size, entry.compress_size), False
    while len(extra) >= EXTRA.size:
        kind, length = EXTRA.unpack_from(extra)
        if kind == ZIP_64:
            content = extra[EXTRA.size : EXTRA.size + length]
            large = len(content) >= SIZES_64.size and SIZES_64.unpack_from(content) == sizes
            if not large:
                return False
        extra = extra[EXTRA.size + length :]
    same = (size, packed) == sizes or (large and (size, packed) == (0xFFFFFFFF, 0xFFFFFFFF))
    return bool(encoded) and same and crc == entry.CRC and name.decode("utf-8", "replace") == entry.orig_filename


def wrong_name(name: str) -> str:
    """Why no tool would give a file this name; "" if one might."""
    if not name.isprintable():
        return "has a name with unprintable characters"
    if len(name) > MAX_NAME or name.count("/") > MAX_DEPTH:
        return f"has a name of {len(name)} characters in {name.count('/')} folders; wanted {MAX_NAME} in {MAX_DEPTH}"
    return ""


def shown(name: str) -> str:
    """A name cut short, without characters that would move a terminal's cursor."""
    cut = name if len(name) <= MAX_SHOWN else f"{name[:MAX_SHOWN]}…"
    return printable(cut)


def printable(text: str) -> str:
    """The text on one line, without characters that would move a terminal's cursor."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def is_unsafe(name: str) -> bool:
    """Whether a name is absolute, on a drive, or has "." or ".." parts: it could leave its folder or replace a file."""
    parts = name.removesuffix("/").split("/")
    return "\\" in name or ":" in parts[0] or not {"", ".", ".."}.isdisjoint(parts)


def read(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """A member's content. Raises UnsafeFile if it is missing, broken or larger than `limit` bytes."""
    try:
        size = archive.getinfo(name).file_size
        if size > limit:
            raise UnsafeFile(f"{name} has {size} bytes; wanted {limit} at most")
        with archive.open(name) as file:
            return file.read(size + 1)  # without a size, it inflates the whole member, however small that claims to be
    except KeyError:
        raise UnsafeFile(f"{name} is missing") from None
    except ERRORS as error:
        raise UnsafeFile(f"{name} cannot be read: {reason(error)}") from None


def reason(error: Exception) -> str:
    """The system's message without the path, or the first line of the library's own."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (words.splitlines() or [type(error).__name__])[0][:200]
