"""Archives that mean harm: each report ends soon, in little memory, with a line that a terminal can show."""

import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest
from typer.testing import CliRunner

from archiver.__main__ import app
from archiver.store import entry
from handlers.formats.zip_file import MAX_MEMBERS

RUNNER = CliRunner()
MANIFEST = '{"model": {"modelName": "x", "modelVersion": "1.0", "handler": "x"}}'
# Of one report on one archive.
SECONDS, BYTES, LINES, CHARACTERS = 5.0, 64 << 20, 40, 20_000


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


@pytest.mark.filterwarnings("ignore:Duplicate name")
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


HOSTILE: list[Callable[[Path], Path]] = [
    *(bomb, claimed, links, repeated, control, deep, long, upwards, many, encrypted),
]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
@pytest.mark.parametrize("report", ["inspect", "diff", "sbom", "list"])
def test_reports_stay_bounded_and_clean(make: Callable[[Path], Path], report: str, tmp_path: Path) -> None:
    good, hostile = archive(tmp_path / "good.mar"), make(tmp_path / "hostile.mar")
    arguments = {"diff": [str(good), str(hostile)], "list": ["--store", str(tmp_path)]}.get(report, [str(hostile)])
    tracemalloc.start()
    started = process_time()
    done = RUNNER.invoke(app, [report, *arguments])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert process_time() - started < SECONDS
    assert peak < BYTES
    assert isinstance(done.exception, SystemExit | None), done.exception
    assert (done.exit_code != 0) == (report != "list")
    said = done.stdout + done.stderr
    assert len(said.splitlines()) <= LINES
    assert len(said) < CHARACTERS
    assert all(character.isprintable() or character in "\n\t" for character in said)
    assert "hostile" in said
    assert entry(hostile).problem
