"""Parquet files that expand to more than a table may have are refused in one line, in little memory."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from train.core import data_file
from train.core.config import ExperimentError
from train.text import parquet_size
from train.text.sources import load


@pytest.mark.parametrize("nested", [False, True])
def test_a_value_in_every_row_is_counted_every_time(tmp_path: Path, nested: bool) -> None:
    path, text = tmp_path / "bomb.parquet", "x" * (1 << 20)
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), pa.array([text]))
    if nested:
        column = pa.ListArray.from_arrays(pa.array(range(3001), pa.int32()), column)
    parquet.write_table(pa.table({"text": column}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    before = pa.total_allocated_bytes()
    with pytest.raises(ExperimentError, match="it expands to more than 1073741824 bytes") as raised:
        load(path, "train", None)
    assert "\n" not in str(raised.value)
    assert pa.default_memory_pool().max_memory() - before < 512 << 20


@pytest.mark.parametrize(
    ("limit", "value", "wanted"),
    [
        ("MAX_CELLS", 5, "it has 3 rows of 2 cells; wanted 5 cells at most"),
        ("MAX_COLUMNS", 1, "it has 2 columns; wanted 1 at most"),
        ("MAX_TABLE_BYTES", 10, "it has .* bytes; wanted 10 at most"),
    ],
)
def test_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str, value: int, wanted: str) -> None:
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table({"text": ["a", None, "ccc"], "label": [[1], [], [2, 3]]}), path)
    assert load(path, "train", None)["text"][:] == ["a", None, "ccc"]
    monkeypatch.setattr(parquet_size, limit, value)
    with pytest.raises((ValueError, data_file.UnusableFile), match=wanted):
        parquet_size.check(path)


def test_bytes_are_those_of_the_values() -> None:
    texts = ["ä", None, "bb", "ä"]
    assert parquet_size.expanded(pa.array(texts).dictionary_encode()) == 6
    assert parquet_size.expanded(pa.array([{"a": text} for text in texts])) >= 6
