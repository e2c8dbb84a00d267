"""Files of texts that cannot be read."""

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
