"""Tables of a user's own, CSV and TSV. Every cell is text as it is written: 0042 is not 42."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

DELIMITERS = {".csv": ",", ".tsv": "\t"}
OTHERS = (",", ";", "\t", "|")
MAX_CELL = 1 << 28  # characters; csv's own limit of 131,072 is less than a long document


@dataclass(frozen=True)
class Table:
    """columns: of the first row, without the spaces around them; "" where one has no name, as several may.
    rows: the others, but for empty ones, each with as many cells as it has.
    """

    columns: list[str]
    rows: list[list[str]]

    @property
    def named(self) -> dict[str, int]:
        """The columns that have a name, with their places. The first has none where pandas wrote its index."""
        return {name: place for place, name in enumerate(self.columns) if name}

    def problem(self, row: list[str]) -> str:
        """Of a row with more or fewer cells than there are columns, or one behind all names; "" for another.

        A comma inside a text that is not quoted would shift the cells, and the text would be cut without a word.
        """
        wanted = len(self.columns)
        if len(row) != wanted:
            return f"with {len(row)} cells under {wanted} columns"
        behind = next((cell for cell, name in zip(row[1:], self.columns[1:], strict=True) if cell and not name), None)
        return "" if behind is None else f"with {behind[:40]!r} under a column without a name"


def read_table(path: Path, delimiter: str | None = None) -> Table:
    """delimiter: between cells; by default a comma, and a tab in a .tsv file.

    Raises ValueError, with the reason, for a file that is not such a table, and of its kind UnicodeDecodeError for one
    that is not UTF-8.
    """
    delimiter = delimiter or DELIMITERS.get(path.suffix.lower(), ",")
    csv.field_size_limit(MAX_CELL)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            columns = [name.strip() for name in next(reader, [])]
            if len(columns) == 1 and any(other in columns[0] for other in OTHERS):
                raise ValueError(f"its first line is one cell, {columns[0]!r}; wanted {delimiter!r} between cells")
            rows = [row for row in reader if row]
        except csv.Error as error:
            wanted = f"{delimiter!r} between cells, and quotes in a cell in quotes doubled"
            raise ValueError(f"line {reader.line_num}: {error}; wanted {wanted}") from None
    if doubled := [name for name, count in Counter(columns).items() if name and count > 1]:
        raise ValueError(f"the column {doubled[0]!r} is there twice")
    return Table(columns, rows)
