"""A subword tokenizer learned from texts in any script: byte-level byte-pair encoding (Sennrich et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

PADDING = "[PAD]"


def learn_subwords(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Learn a tokenizer with at most `vocabulary` subwords. It normalises text to NFKC and lower case."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[PADDING],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def as_pretrained(tokenizer: Tokenizer, max_length: int) -> PreTrainedTokenizerFast:
    """The tokenizer in transformers' class. max_length: in tokens."""
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PADDING, model_max_length=max_length)


@contextmanager
def subword_dropout(tokenizer: Any, share: float) -> Iterator[None]:
    """A context in which the tokenizer skips this share of merges at random, so that a model sees rarer splits of the
    same words (BPE-dropout, Provilkov et al. 2020). tokenizer: from `as_pretrained`; any other if the share is 0.
    """
    if not share:
        yield
        return
    model = tokenizer.backend_tokenizer.model
    model.dropout = share
    try:
        yield
    finally:
        model.dropout = None
