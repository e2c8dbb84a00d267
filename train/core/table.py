"""Reads a user's CSV and TSV files. Every cell stays text: 0042 is not 42."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from train.core.data_file import MAX_TABLE_BYTES, check_size, shown

DELIMITERS = {".csv": ",", ".tsv": "\t"}
COMMON = (",", ";", "\t", "|")
MAX_CELL = 1 << 28  # characters; csv's own limit of 131,072 is less than a long document
MAX_CELLS = 20_000_000  # which take 1.5 GB of memory
MAX_COLUMNS = 4_096
NULL = "\0"
NULL_CELL = "with a null character"


@dataclass(frozen=True)
class Table:
    """columns: names from the first row, stripped; "" for a column without a name.
    rows: the other rows, except empty ones; their numbers of cells may differ.
    """

    columns: list[str]
    rows: list[list[str]]

    @property
    def named(self) -> dict[str, int]:
        """name → position, without nameless columns, such as the index that pandas writes first."""
        return {name: place for place, name in enumerate(self.columns) if name}

    def problem(self, row: list[str]) -> str:
        """Why a row cannot be used; "" if it can.

        An unquoted comma in a text shifts the cells after it and silently truncates the text. It shows as a wrong
        number of cells, or as a cell below a nameless column other than the first.
        """
        wanted = len(self.columns)
        if len(row) != wanted:
            return f"with {len(row)} cells under {wanted} columns"
        if any(NULL in cell for cell in row):
            return NULL_CELL
        shifted = next((cell for cell, name in zip(row[1:], self.columns[1:], strict=True) if cell and not name), None)
        return "" if shifted is None else f"with {shifted[:40]!r} under a column without a name"


def read_table(path: Path, delimiter: str | None = None) -> Table:
    """Read a table. delimiter: between cells; by default a tab in a .tsv file, otherwise a comma.

    Raises ValueError for a file that is not such a table, which includes UnicodeDecodeError if it is not UTF-8, and
    OSError if it cannot be read or is larger than MAX_TABLE_BYTES.
    """
    delimiter = delimiter or DELIMITERS.get(path.suffix.lower(), ",")
    csv.field_size_limit(MAX_CELL)
    check_size(path, MAX_TABLE_BYTES)
    rows: list[list[str]] = []
    cells = 0
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            columns = [name.strip() for name in next(reader, [])]
            if any(NULL in name for name in columns):
                raise ValueError("its first line contains null characters, as UTF-16 does; save it as UTF-8")
            if len(columns) > MAX_COLUMNS:
                raise ValueError(f"it has {len(columns)} columns; wanted {MAX_COLUMNS} at most")
            if len(columns) == 1 and any(other in columns[0] for other in COMMON):
                raise ValueError(
                    f"its first line is a single cell, {shown(columns[0])!r}; wanted {delimiter!r} between cells"
                )
            for row in reader:
                cells += len(row)
                if cells > MAX_CELLS:
                    raise ValueError(f"it has more than {MAX_CELLS} cells")
                if row:
                    rows.append(row)
        except csv.Error as error:
            wanted = f"{delimiter!r} between cells, and doubled quotes inside a quoted cell"
            raise ValueError(f"line {reader.line_num}: {error}; wanted {wanted}") from None
    if doubled := [name for name, count in Counter(columns).items() if name and count > 1]:
        raise ValueError(f"the column {doubled[0]!r} occurs twice")
    return Table(columns, rows)
