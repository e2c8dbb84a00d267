"""`archiver list` in a folder with anything in it: each file has its line, and none hurts the others."""

import io
import json
import os
import struct
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from archiver.__main__ import app
from archiver.archive import build
from archiver.errors import VerificationError
from archiver.inspection import inspect
from archiver.mar import Mar
from archiver.package import resolve
from archiver.store import entries, entry, main_metric
from handlers.formats import zip_file
from handlers.formats.errors import UnsafeFile
from tests.archiver.sample_project import SampleProject

MANIFEST = "MAR-INF/MANIFEST.json"


def built(project: SampleProject) -> Path:
    return build(resolve(project.spec_file, project.artifacts), project.handlers, project.store).path


def zipped(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def manifest(**model: object) -> bytes:
    return json.dumps({"model": {"modelName": "m", "handler": "h.py", **model}}).encode()


def unknown_compression(path: Path) -> None:
    zipped(path, {MANIFEST: manifest()}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x01\x02", 10), (b"PK\x03\x04", 8)):
        struct.pack_into("<H", data, data.index(mark) + at, 99)
    path.write_bytes(data)


def encrypted(path: Path) -> None:
    zipped(path, {MANIFEST: manifest()}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        data[data.index(mark) + at] |= 1
    path.write_bytes(data)


def many_members(path: Path) -> None:
    zipped(path, {MANIFEST: manifest(), **{f"{number}.txt": b"" for number in range(10_001)}})


def large_directory(path: Path) -> None:
    """Names of 60 KB each: a directory of 9 MB."""
    zipped(path, {MANIFEST: manifest(), **{f"{number:03}{'x' * 60_000}": b"" for number in range(150)}})


def broken(path: Path, content: bytes) -> None:
    path.write_bytes(content)


HOSTILE = {
    "pipe": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
    "dangling": lambda path: path.symlink_to(path.parent / "nowhere"),
    "circle": lambda path: path.symlink_to(path),
    "empty": lambda path: path.touch(),
    "text": lambda path: path.write_text("no zip"),
    "end alone": lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)),
    "bomb": lambda path: zipped(path, {MANIFEST: manifest(), "weights": bytes(64 << 20)}),
    "large manifest": lambda path: zipped(path, {MANIFEST: bytes(17 << 20)}, zipfile.ZIP_STORED),
    "deep manifest": lambda path: zipped(path, {MANIFEST: b"[" * 100_000}),
    "nested manifest": lambda path: zipped(path, {MANIFEST: b'{"model": ' + b"[" * 500 + b"]" * 500 + b"}"}),
    "digits": lambda path: zipped(path, {MANIFEST: b'{"model": ' + b"9" * 5000 + b"}"}),
    "not UTF-8": lambda path: zipped(path, {MANIFEST: b'{"model": "\xff"}'}),
    "a list": lambda path: zipped(path, {MANIFEST: b"[]"}),
    "no model": lambda path: zipped(path, {MANIFEST: b'{"model": 3}'}),
    "name is a list": lambda path: zipped(path, {MANIFEST: manifest(modelName=["m"])}),
    "version is an object": lambda path: zipped(path, {MANIFEST: manifest(modelVersion={})}),
    "step upwards": lambda path: zipped(path, {MANIFEST: manifest(), "../../evil.py": b""}),
    "deep card": lambda path: zipped(path, {MANIFEST: manifest(), "card.json": b"[" * 100_000}),
    "card of another": lambda path: zipped(path, {MANIFEST: manifest(), "card.json": b"{}"}),
    "compression": unknown_compression,
    "encrypted": encrypted,
    "members": many_members,
    "directory": large_directory,
}


def test_every_hostile_file_has_its_line_and_the_rest_is_listed(project: SampleProject) -> None:
    good = built(project)
    for name, make in HOSTILE.items():
        make(project.store / f"{name}.mar")
    started = time.monotonic()
    found = {entry.path.stem: entry for entry in entries(project.store)}
    assert time.monotonic() - started < 5
    assert found.keys() == {*HOSTILE, good.stem}
    assert found[good.stem].problem == ""
    for name in HOSTILE:
        assert 10 < len(found[name].problem) <= 200, name
        assert "\n" not in found[name].problem, name
    assert "it is a pipe, not a file" in found["pipe"].problem
    assert "it is a folder" in found["folder"].problem
    assert "No such file" in found["dangling"].problem
    assert "expands from" in found["bomb"].problem
    assert "wanted 10000 at most" in found["members"].problem
    assert "its directory has" in found["directory"].problem


def test_an_archive_that_may_not_be_read(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    path = built(project)

    def refuse(self: Path, *arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    assert entry(path).problem == "the file: cannot be read as a zip: Permission denied"


def test_a_bomb_is_not_unpacked(project: SampleProject, tmp_path: Path) -> None:
    path = built(project)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(64 << 20))
    with pytest.raises(VerificationError, match="expands from"):
        Mar(path)


def test_the_directory_of_a_zip64(tmp_path: Path) -> None:
    """By which larger archives say where their directory is."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a", b"")
    data = content.getvalue()
    at = data.index(b"PK\x05\x06")
    size, offset = struct.unpack_from("<II", data, at + 12)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size, offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path = tmp_path / "x.zip"
    path.write_bytes(data[:at] + record + locator + end)
    with zip_file.opened(path) as found:
        assert found.namelist() == ["a"]
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 1 << 40, offset)
    path.write_bytes(data[:at] + record + locator + end)
    with pytest.raises(UnsafeFile, match="its directory has 1099511627776 bytes"):
        zip_file.opened(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=8), st.floats(0, 2))
def test_changed_bytes_end_in_a_line(project: SampleProject, changes: list[tuple[int, int]], share: float) -> None:
    path = built(project)
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[-1 - place % len(content)] = value
    path.write_bytes(content[: int(len(content) * share)])
    entry(path)
    with suppress(VerificationError), Mar(path) as mar:
        inspect(mar)


@pytest.mark.parametrize(
    ("metrics", "shown"),
    [
        ({"loss": 0.2, "accuracy": 0.912345}, "accuracy 0.9123"),
        ({"test": {"Loss": 0.2, "macro F1": 0.5}, "images": 9}, "test.macro F1 0.5"),
        ({"val/loss": 0.25}, "val/loss 0.25"),
        ({"measured": True, "none": None}, ""),
    ],
)
def test_the_main_metric_is_a_score(metrics: dict[str, object], shown: str) -> None:
    assert main_metric(metrics) == shown


def test_names_are_not_taken_for_markup(project: SampleProject) -> None:
    project.store.mkdir()
    zipped(project.store / "[red]x[-y].mar", {MANIFEST: manifest(modelName="[/bold]\x1b[2J", modelVersion="1")})
    done = CliRunner().invoke(app, ["list", "--store", str(project.store)])
    assert done.exit_code == 0
    assert "[red]x[-y].mar" in done.stdout
    assert "[/bold]\ufffd[2J" in done.stdout
