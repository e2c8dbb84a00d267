"""Archives that mean harm."""

import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from handlers.formats.zip_file import MAX_MEMBERS

MANIFEST = '{"model": {"modelName": "x", "modelVersion": "1.0", "handler": "x"}}'


def archive(path: Path, *members: tuple[zipfile.ZipInfo | str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("MAR-INF/MANIFEST.json", MANIFEST)
        for name, data in members:
            file.writestr(name, data)
    return path


def bomb(path: Path) -> Path:
    return archive(path, ("zeros.bin", bytes(256 << 20)), compression=zipfile.ZIP_DEFLATED)


def claimed(path: Path) -> Path:
    """A directory that says a member of a few bytes has 100 GB."""
    archive(path, ("claimed.bin", b"few"))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"claimed.bin"))
    struct.pack_into("<I", data, at + 24, 0xFFFFFFF0)
    path.write_bytes(data)
    return path


def links(path: Path) -> Path:
    link = zipfile.ZipInfo("weights.pt")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return archive(path, (link, b"/etc/passwd"))


def repeated(path: Path) -> Path:
    return archive(path, *[("twice.py", b"1"), ("twice.py", b"2")] * 500)


def control(path: Path) -> Path:
    return archive(path, ("\x1b]0;owned\x07\x1b[2J.py", b""), ("two\nlines\r.py", b""), ("\u202egnp.exe", b""))


def deep(path: Path) -> Path:
    return archive(path, ("a/" * 20_000 + "x.py", b""))


def long(path: Path) -> Path:
    return archive(path, ("n" * 60_000, b""))


def upwards(path: Path) -> Path:
    return archive(path, *((f"../{number}.py", b"") for number in range(3000)))


def many(path: Path) -> Path:
    return archive(path, *((f"{number}", b"") for number in range(MAX_MEMBERS + 1)))


def encrypted(path: Path) -> Path:
    archive(path, ("card.json", b"{}"))
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.rindex(signature)
        data[at + offset] |= 1
    path.write_bytes(data)
    return path


def understated(path: Path) -> Path:
    """A card that inflates to 256 MiB, and is said to have ten bytes."""
    archive(path, ("card.json", bytes(256 << 20)), compression=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.rindex(signature) + offset, 10)
    path.write_bytes(data)
    return path


def shared(path: Path) -> Path:
    """Thousands of names, each with the same megabyte for its content."""
    names = [f"{number:04}" for number in range(5000)]
    archive(path, ("0000", bytes(1 << 20)), *((name, b"") for name in names[1:]))
    data = bytearray(path.read_bytes())
    first = at = data.index(b"PK\x01\x02", 1 << 20)
    first = data.index(b"PK\x01\x02", first + 1)
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        data[at + 16 : at + 28] = data[first + 16 : first + 28]
        data[at + 42 : at + 46] = data[first + 42 : first + 46]
    path.write_bytes(data)
    return path


def huge_directory(path: Path) -> Path:
    """A directory of 20 MB, with one entry again and again."""
    archive(path)
    data = path.read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    directory = data[start:end] * ((20 << 20) // (end - start))
    path.write_bytes(
        data[:start] + directory + data[end : end + 12] + struct.pack("<I", len(directory)) + data[end + 16 :]
    )
    return path


def lzma(path: Path) -> Path:
    """A card that zipfile would inflate at once, however small it is said to be."""
    return archive(path, ("card.json", bytes(256 << 20)), compression=zipfile.ZIP_LZMA)


def twins(path: Path) -> Path:
    return archive(path, ("caf\u00e9.py", b"1"), ("cafe\u0301.py", b"2"))


def steps(path: Path) -> Path:
    """Unpacked, the second is in place of the first."""
    return archive(path, ("MAR-INF/./MANIFEST.json", b"{}"), ("MAR-INF//MANIFEST.json", b"{}"))


def null(path: Path) -> Path:
    archive(path, ("a-b.py", b""))
    path.write_bytes(path.read_bytes().replace(b"a-b.py", b"a\0b.py"))
    return path


def long_name(path: Path) -> Path:
    """Of the model, 15 MB."""
    manifest = MANIFEST.replace('"modelName": "x"', f'"modelName": "{"x" * (15 << 20)}"')
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", manifest)
    return path


def with_member_before(path: Path) -> Path:
    """TorchServe unpacks the first zip of two, and Python reads the second one's directory."""
    content = archive(path, ("entry.py", b"first")).read_bytes()
    path.write_bytes(content + archive(path, ("entry.py", b"second")).read_bytes())
    return path


def between(path: Path) -> Path:
    """A member in front of the directory, which does not list it."""
    hidden = archive(path, ("entry.py", b"hidden")).read_bytes()
    hidden = hidden[hidden.index(b"PK\x03\x04", 1) : hidden.index(b"PK\x01\x02")]
    data = archive(path, ("entry.py", b"shown")).read_bytes()
    at = data.index(b"PK\x01\x02")
    data = data[:at] + hidden + data[at:-6] + struct.pack("<I", at + len(hidden)) + data[-2:]
    path.write_bytes(data)
    return path


def two_sizes(path: Path) -> Path:
    """In front of a member's content it is longer than by the directory: more than one may be in it."""
    data = bytearray(archive(path, ("entry.py", b"shown")).read_bytes())
    at = data.rindex(b"PK\x03\x04")
    struct.pack_into("<II", data, at + 18, 9, 9)
    path.write_bytes(data)
    return path


def large_sizes(path: Path) -> Path:
    """The same by the extra field for members of more than 4 GB, which Java believes whatever the others say."""
    entry = zipfile.ZipInfo("entry.py")
    entry.extra = struct.pack("<HHQQ", 1, 16, 5, 5)
    data = archive(path, (entry, b"shown")).read_bytes()
    extra = struct.pack("<HHQQ", 1, 16, 5, 5)
    path.write_bytes(data.replace(extra, struct.pack("<HHQQ", 1, 16, 9, 9), 1))
    return path


def streamed(path: Path) -> Path:
    """Its sizes are behind the content, whose end Java and Python may find in two places."""
    data = bytearray(archive(path, ("entry.py", b"shown")).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rindex(signature) + offset] |= 8
    path.write_bytes(data)
    return path


TWO_WAYS = [with_member_before, between, two_sizes, large_sizes, streamed]

HOSTILE: list[Callable[[Path], Path]] = [
    *(bomb, claimed, links, repeated, control, deep, long, upwards, many, encrypted),
    *(understated, shared, huge_directory),
    *(lzma, twins, steps, null),
    *TWO_WAYS,
]
