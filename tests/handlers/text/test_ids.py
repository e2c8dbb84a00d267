"""The ids of a text's tokens, which a tokenizer's Rust core gives without transformers around it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Regex
from tokenizers.pre_tokenizers import Sequence, Split
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from handlers.errors import InvalidInput
from handlers.text.handler import core_of
from tests.handlers.worker import Worker

TEXTS = [
    "a short text",
    "a longer one, " * 200,
    "after the longer one",
    "[CLS] [SEP] <s> </s> <pad> [UNK] [MASK] written by a sender",
    "Ünïcode: \N{SNOWMAN} \N{GRINNING FACE}\u200d\u00a0\r\n\t end",
]


class Louder(PreTrainedTokenizerFast):
    def __call__(self, text: str, **options: object) -> object:
        return super().__call__(text.upper(), **options)


@pytest.mark.parametrize("name", ["tiny-text", "tiny-topics", "tiny-embedding", "tiny-writer"])
def test_they_are_those_of_transformers(load: Callable[[str], Worker], name: str) -> None:
    handler = load(name).handler
    assert (handler.core is None) == (name == "tiny-text")  # its tokenizer is Python's
    fresh = AutoTokenizer.from_pretrained(handler.artifact.weights, local_files_only=True)
    for text in TEXTS:
        wanted = fresh(text)["input_ids"]
        assert handler.ids(text) == wanted
        assert handler.ids(text, special=False) == fresh(text, add_special_tokens=False)["input_ids"]
        short = fresh(text, truncation=True, max_length=handler.max_length)["input_ids"]
        assert handler.cut_ids(text) == (short, len(wanted))


def test_what_the_folder_says_of_truncation_and_padding_does_not_count(
    load: Callable[[str], Worker], tmp_path: Path
) -> None:
    """As in the folders that sentence-transformers writes."""
    handler = load("tiny-embedding").handler
    saved = AutoTokenizer.from_pretrained(handler.artifact.weights, local_files_only=True)
    saved.backend_tokenizer.enable_truncation(5)
    saved.backend_tokenizer.enable_padding(length=50)
    saved.save_pretrained(tmp_path)
    core = core_of(AutoTokenizer.from_pretrained(tmp_path, local_files_only=True))
    assert core.truncation is not None
    core.no_truncation()  # as for each text
    for text in TEXTS:
        assert core.encode(text).ids == handler.ids(text)


def test_a_tokenizer_with_a_call_of_its_own_is_called(load: Callable[[str], Worker]) -> None:
    inner = load("tiny-topics").handler.tokenizer.backend_tokenizer
    assert core_of(PreTrainedTokenizerFast(tokenizer_object=inner)) is not None
    assert core_of(Louder(tokenizer_object=inner)) is None


def test_a_text_on_which_the_tokenizers_pattern_gives_up_is_refused_alone(load: Callable[[str], Worker]) -> None:
    """By a panic in Rust, which is not an Exception: it would end the worker with the whole batch."""
    worker = load("tiny-writer")
    core = worker.handler.core
    own = core.pre_tokenizer
    core.pre_tokenizer = Sequence([Split(Regex("(a+)+b"), "isolated"), own])
    try:
        refused, answered = worker.answer([{"body": b"a" * 40}, {"body": b"hello"}])
    finally:
        core.pre_tokenizer = own
    assert refused[0] == 422, refused
    assert b"retry-limit" in refused[2]
    assert answered[0] == 200, answered


def test_a_prompt_without_tokens_is_refused(load: Callable[[str], Worker]) -> None:
    """As a chat template writes one that writes nothing: the model would fail on it."""
    with pytest.raises(InvalidInput, match="the model's tokenizer makes no tokens of it"):
        load("tiny-writer").handler.ids("", special=False)
