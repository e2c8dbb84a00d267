"""Archives that mean harm: each report ends soon, in little memory, with a line that a terminal can show."""

import json
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest
from typer.testing import CliRunner

from archiver.__main__ import app
from archiver.errors import VerificationError
from archiver.mar import Mar
from archiver.store import entry
from tests.archiver.reports.hostile_archives import HOSTILE, TWO_WAYS, archive, long_name

RUNNER = CliRunner()
# Of one report on one archive.
SECONDS, BYTES, LINES, CHARACTERS = 5.0, 64 << 20, 40, 20_000


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


@pytest.mark.parametrize("make", TWO_WAYS, ids=lambda make: make.__name__)
def test_what_torchserve_would_unpack_and_python_does_not_see(make: Callable[[Path], Path], tmp_path: Path) -> None:
    said = "is not in its directory; TorchServe would unpack it|is described in two ways"
    with pytest.raises(VerificationError, match=said):
        Mar(make(tmp_path / "hostile.mar"), required=[])


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_plain_archive_is_described_in_one_way(compression: int, tmp_path: Path) -> None:
    """Also with sizes in the form of members of more than 4 GB, folders, comments and something behind its end."""
    path = archive(tmp_path / "x.mar", ("folder/", b""), ("caf\u00e9.py", b"x" * 1000), compression=compression)
    with zipfile.ZipFile(path, "a", compression) as file:
        with file.open(zipfile.ZipInfo("large.bin"), "w", force_zip64=True) as member:
            member.write(b"y" * 1000)
        file.comment = b"built today"
    with path.open("ab") as file_:
        file_.write(b"\n")
    with Mar(path, required=[]) as mar:
        assert sorted(mar.names) == ["MAR-INF/MANIFEST.json", "caf\u00e9.py", "folder/", "large.bin"]


def test_a_message_about_a_hostile_card_is_bounded(tmp_path: Path) -> None:
    """Of an archive that is otherwise complete enough to be read."""
    keys = {f"{number}\x1b[2J": 1 for number in range(5000)} | {"x" * 1_000_000: 1}
    path = archive(tmp_path / "x.mar", ("card.json", json.dumps(keys).encode()), ("model-config.yaml", b"{}"))
    done = RUNNER.invoke(app, ["verify", str(path)])
    assert done.exit_code == 1
    assert re.search(r"… \d+ more$", done.stderr.strip())
    assert len(done.stderr) < 30_000
    assert all(character.isprintable() or character == "\n" for character in done.stderr)


@pytest.mark.parametrize("report", ["inspect", "sbom"])
def test_a_model_with_a_long_name(report: str, tmp_path: Path) -> None:
    done = RUNNER.invoke(app, [report, str(long_name(tmp_path / "hostile.mar"))])
    assert done.exit_code == 1
    assert "wanted texts of up to 200 characters" in done.stderr
    assert len(done.stderr) < 500


def test_a_path_with_line_breaks_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines\x1b[2J.mar"
    path.write_bytes(b"x")
    for report in ("inspect", "sbom", "verify", "sign"):
        options = ["--key", str(tmp_path / "none.pem")] if report == "sign" else []
        done = RUNNER.invoke(app, [report, str(path), *options])
        assert done.exit_code == 1
        assert "\x1b" not in done.stderr
        assert "two\nlines" not in done.stderr


def test_a_difference_of_many_keys_is_cut(tmp_path: Path) -> None:
    keys = b"{" + b",".join(b'"%d": 1' % number for number in range(5000)) + b"}"
    before = archive(tmp_path / "a.mar", ("x.json", b"{}"))
    after = archive(tmp_path / "b.mar", ("x.json", keys))
    done = RUNNER.invoke(app, ["diff", str(before), str(after)])
    assert done.exit_code == 1
    assert "… 4000 more; --json prints all" in done.stdout
    assert len(done.stdout.splitlines()) < 1010
