"""A Hugging Face folder in shards with the model and tokenizer that it was saved from; labels of a classifier."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertForSequenceClassification, BertTokenizer

from tests.tiny_texts import TOPICS, bert, named, word_pieces


@pytest.fixture(scope="module")
def made() -> tuple[BertForSequenceClassification, BertTokenizer]:
    torch.manual_seed(0)
    tokenizer = word_pieces()
    return BertForSequenceClassification(bert(len(tokenizer), **named(TOPICS))).eval(), tokenizer


@pytest.fixture
def folder(made: tuple[Any, Any], tmp_path: Path) -> Path:
    """Of several shards."""
    for part in made:
        part.save_pretrained(tmp_path / "folder", **({"max_shard_size": "20KB"} if part is made[0] else {}))
    return tmp_path / "folder"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text("cat\ndog\nbird\n")
    return path
