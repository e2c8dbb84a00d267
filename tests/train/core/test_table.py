"""Tables as spreadsheets, pandas and people write them."""

import os
from pathlib import Path

import pytest

from train.core.file_list import FileList
from train.core.labelled_files import list_table
from train.core.table import Table, read_table

FILES = ("a.png", "b.png", "c.png", "d.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).touch()
    return tmp_path


def table(root: Path, text: str) -> Table:
    (root / "table.csv").write_bytes(text.encode())
    return read_table(root / "table.csv")


def listed(root: Path, header: str, row: str) -> FileList:
    """A row for each file; row: with {file}, {label} and {number}."""
    lines = [row.format(file=file, label="xy"[i % 2], number=i) for i, file in enumerate(FILES)]
    (root / "table.csv").write_text("\n".join([header, *lines]))
    return list_table(root, root / "table.csv")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_the_ends_of_lines_and_a_byte_order_mark(start: str, end: str, tmp_path: Path) -> None:
    found = table(tmp_path, start + end.join(("text, label", '"a, b",c', "", "d,e", "")))
    assert found == Table(["text", "label"], [["a, b", "c"], ["d", "e"]])


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("file,class", "{file},{label}"),
        (" file , class ", "{file},{label}"),
        (",file,class", "{number},{file},{label}"),  # pandas' index
        ("file,class,", "{file},{label},"),
        ("file,class,,,", "{file},{label},,,"),
        ("file,class", "./{file},{label}"),
        ("file,class,Split", "{file},{label},Train"),
    ],
)
def test_what_has_no_name_is_not_a_label(header: str, row: str, root: Path) -> None:
    found = listed(root, header, row)
    assert (found.tasks, found.bad) == ({"class": ["x", "y"]}, {})
    assert {example.file for example in found.examples} == set(FILES)
    assert {example.split for example in found.examples} == {"train" if "Split" in header else ""}


def test_a_value_behind_all_names_is_named(tmp_path: Path) -> None:
    """Half of a text with a comma, under a header that ends with one."""
    found = table(tmp_path, "text,label,\nHello, world,greeting\nBye,greeting,\n")
    assert [found.problem(row) for row in found.rows] == ["with 'greeting' under a column without a name", ""]


def test_a_file_by_two_names_is_listed_twice(root: Path) -> None:
    (root / "table.csv").write_text("file,class\na.png,x\n./a.png,y\nsub/../a.png,y\nb.png,y\n")
    found = list_table(root, root / "table.csv")
    assert [example.file for example in found.examples] == ["a.png", "b.png"]
    assert found.bad == {"line 3": "a.png is listed twice", "line 4": "a.png is listed twice"}


@pytest.mark.parametrize(
    ("file", "name", "reason"),
    [
        ("", "line 2", "line 2: no such file"),
        ("gone.png", "gone.png", "line 2: no such file"),
        ("x" * 5_000, "x" * 200 + "…", "line 2: File name too long"),
        ("a\0b.png", "line 2", "with a null character"),
        ("folder", "folder", "line 2: it is a folder, not a file"),
        ("pipe", "pipe", "line 2: it is a pipe, not a file"),
        ("zero", "zero", "line 2: leads out of the data's folder; copy the file into it"),
        ("loop", "loop", "line 2: Too many levels of symbolic links"),
        ("../outside.png", "../outside.png", "line 2: leads out of the data's folder; copy the file into it"),
        ("folder/../../outside.png", "../outside.png", "line 2: leads out of the data's folder; copy the file into it"),
        ("/etc/hostname", "/etc/hostname", "line 2: leads out of the data's folder; copy the file into it"),
        ("https://x.org/a.png", "https:/x.org/a.png", "line 2: no such file"),
    ],
)
def test_what_is_not_a_file_of_the_folder(file: str, name: str, reason: str, root: Path) -> None:
    data = root / "data"
    (data / "folder").mkdir(parents=True)
    (root / "outside.png").touch()
    (data / "a.png").touch()
    os.mkfifo(data / "pipe")
    (data / "zero").symlink_to("/dev/zero")
    (data / "loop").symlink_to("loop")
    (data / "table.csv").write_text(f"file,class\n{file},x\na.png,x\n")
    found = list_table(data, data / "table.csv")
    assert found.bad == {name: reason}
    assert [example.file for example in found.examples] == ["a.png"]
