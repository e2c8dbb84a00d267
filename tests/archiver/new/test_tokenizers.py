"""Folders with a tokenizer in a form of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.archiver.new.test_folders import command, compare
from tests.new_models import served


def without_settings(folder: Path) -> None:
    (folder / "tokenizer_config.json").unlink()


def with_no_class(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 64}')


@pytest.mark.parametrize("change", [without_settings, with_no_class])
def test_a_tokenizer_that_transformers_reads_otherwise(
    change: Callable[[Path], None], folder: Path, tmp_path: Path
) -> None:
    """BertTokenizer lowers capitals where nothing says that the model tells them apart."""
    change(folder)
    result = command(folder, tmp_path)
    assert result.exit_code == 0
    assert (
        "check preprocessing: no tokenizer_config.json names the tokenizer's class, and BertTokenizer" in result.output
    )


def test_a_tokenizer_of_its_own_file_alone(folder: Path, made: tuple[Any, Any], tmp_path: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    assert "check" not in command(folder, tmp_path).output
    worker = served(folder, tmp_path / "served")
    compare(worker, made)
