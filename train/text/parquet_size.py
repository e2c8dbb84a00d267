"""Bounds what a Parquet file expands to before `datasets` writes it out as Arrow: a value that is stored once may stand
in every row."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import ParquetFile

from train.core.data_file import MAX_TABLE_BYTES, check_size
from train.core.table import MAX_CELLS, MAX_COLUMNS

ROWS = 4096  # that are looked at together
BINARY = (pa.types.is_string, pa.types.is_binary, pa.types.is_large_string, pa.types.is_large_binary)


def check(path: Path) -> None:
    """Raise ValueError for a file of more cells, columns or bytes than other tables may have; OSError from reading."""
    check_size(path, MAX_TABLE_BYTES)
    with ParquetFile(path) as file:
        described = file.metadata
        columns, cells = described.num_columns, described.num_rows * described.num_columns
        groups = [described.row_group(number) for number in range(described.num_row_groups)]
        names = [described.schema.column(number).path for number in range(columns)]
    if columns > MAX_COLUMNS:
        raise ValueError(f"it has {columns} columns; wanted {MAX_COLUMNS} at most")
    if described.num_rows > MAX_CELLS or cells > MAX_CELLS:
        raise ValueError(f"it has {described.num_rows} rows of {columns} cells; wanted {MAX_CELLS} cells at most")
    refuse_above_limit(sum(group.total_byte_size for group in groups))
    total = 0
    # Read as a dictionary, a value that repeats takes its memory once.
    with ParquetFile(path, read_dictionary=names) as file:
        for batch in file.iter_batches(batch_size=ROWS):
            total += sum(map(expanded, batch.columns))
            refuse_above_limit(total)


def refuse_above_limit(size: int) -> None:
    if size > MAX_TABLE_BYTES:
        raise ValueError(f"it expands to more than {MAX_TABLE_BYTES} bytes")


def expanded(column: pa.Array) -> int:
    """The bytes of a column without dictionaries."""
    if pa.types.is_dictionary(column.type):
        if not any(is_type(column.type.value_type) for is_type in BINARY):
            return int(column.dictionary.nbytes + column.indices.nbytes)
        lengths = pc.binary_length(column.dictionary).cast(pa.int64())
        return int(pc.sum(lengths.take(column.indices)).as_py() or 0)
    if pa.types.is_struct(column.type):
        return sum(map(expanded, column.flatten()))
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return expanded(column.flatten())
    return int(column.nbytes)
