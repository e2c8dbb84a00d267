"""Files of texts that cannot be read."""

import os
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from tests.train.text.test_data import ROWS, read
from train.core.config import ExperimentError
from train.text.data import TextData


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": "no.csv"}, "no file"),
        ({"train": "rows.xlsx"}, "wanted one of .csv"),
        ({"text_column": "review"}, "no column 'review'; it has 'text', 'label'"),
        ({"labels": ["a"]}, "at least two classes"),
        ({"labels": ["x", "y"]}, "too few to split off"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    Dataset.from_list(ROWS).to_csv(tmp_path / "rows.csv")
    train = str(tmp_path / options.pop("train", "rows.csv"))
    with pytest.raises(ExperimentError, match=message):
        TextData.model_validate({"train": train, **options}).read(0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('text,label\n"never closed,b\na,b\n', r"rows\.csv cannot be read: line 3"),
        ("text,label,text\na,b,c\n", r"the column 'text' occurs twice"),
        ("", r"no column 'text'"),
        ('"text";"label"\n"a";"b"\n', "wanted ',' between cells"),
        ('text,label\n"a \\"b\\"",c\n', "line 2: .*doubled quotes inside a quoted cell"),
        ("text;label\na;b\n", r"single cell, 'text;label'; wanted ',' between cells"),
        ("text,label\na,b,\nc,d,\n", r"two classes; got \[\]\n.*2 of 2 rows are left out: 2 with 3 cells"),
        ("text,label\na,b\0c\n", r"at least two classes"),
    ],
)
def test_a_table_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(ExperimentError, match=message):
        read(path)


def test_a_table_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes("text,label\nschön,b\n".encode("latin-1"))
    with pytest.raises(ExperimentError, match=r"rows\.csv is not UTF-8"):
        read(tmp_path / "rows.csv")


ROWS_CSV = "text,label\n" + "".join(f"text {number},{'ab'[number % 2]}\n" for number in range(20))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("../outside.csv", "declares '../outside.csv', which leads out of the folder"),
        ("https://127.0.0.1:9/x.csv", "leads out of the folder"),
        ("/etc/hostname", "leads out of the folder"),
        ("[[{a: ../../x}]]", "leads out of the folder"),
        ("&a [" + "x," * 25_000 + "]", r"README\.md: line \d+: holds more than 20000 values"),
    ],
)
def test_a_folder_whose_readme_declares_other_files(content: str, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "outside.csv").write_text(ROWS_CSV)
    (folder / "train.csv").write_text(ROWS_CSV)
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files: {content}\n---\n")
    with pytest.raises(ExperimentError, match=message):
        read(folder)


def test_a_folder_with_links_pipes_and_other_formats(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "outside.csv").write_text(ROWS_CSV)
    (folder / "train.csv").symlink_to("../outside.csv")
    with pytest.raises(ExperimentError, match=r"train\.csv: leads out of the data's folder"):
        read(folder)
    (folder / "train.csv").unlink()
    (folder / "train.txt").write_text("a\nb\n")
    with pytest.raises(ExperimentError, match=r"wanted files of \.csv, .*; got text"):
        read(folder)
    (folder / "train.txt").unlink()
    (folder / "train.csv").write_text(ROWS_CSV)
    assert len(read(folder).labels) == 2
    os.mkfifo(folder / "README.md")
    with pytest.raises(ExperimentError, match="it is a pipe, not a file"):
        read(folder)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "[" * 100_000 + "\n", "nested too deeply"),
        ("a.jsonl", '{"text": "a", "label": "b"}\n{"text": ' + "[" * 100_000, "nested too deeply"),
        ("a.jsonl", "{" + ",".join(f'"k{n}": 1' for n in range(5_000)) + "}", "5000 different keys; wanted 4096"),
        ("a.csv", ",".join(f"c{n}" for n in range(5_000)), "it has 5000 columns; wanted 4096 at most"),
        ("a.csv", "t\0e\0x\0t\0,\0l\0", "contains null characters, as UTF-16 does; save it as UTF-8"),
    ],
)
def test_tables_that_are_too_much(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ExperimentError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_table_that_is_too_large(name: str, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ExperimentError, match="it has 1099511627776 bytes; wanted 1073741824 at most"):
        read(tmp_path / name)


def test_classes_are_those_of_usable_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ROWS_CSV + ",c\ntext,\x1b[31md\ntext," + "e" * 2_000 + "\n")
    found = read(tmp_path / "a.csv")
    assert found.labels == ["a", "b"]
    assert found.left_out == {
        "without text": 1,
        "with a label that contains the control character '\\x1b'": 1,
        "with a label that has 2000 characters; wanted 1000 at most": 1,
    }
