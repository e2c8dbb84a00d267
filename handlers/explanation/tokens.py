"""The tokens of a text, with the attribution of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Token:
    """position: in the model's input. start, end: in the text, in characters; None if the tokenizer does not say."""

    position: int
    text: str
    start: int | None
    end: int | None


def tokens_of(text: str, tokenizer: Any, encoded: Any) -> list[Token]:
    """The tokens that stand for a part of the text. encoded: with `special_tokens_mask`, and from a fast tokenizer with
    `offset_mapping`."""
    tokens = []
    offsets = encoded.get("offset_mapping")
    for position, (identifier, special) in enumerate(
        zip(encoded["input_ids"], encoded["special_tokens_mask"], strict=True)
    ):
        if special:
            continue
        if offsets is None:
            tokens.append(Token(position, tokenizer.decode([identifier]), None, None))
        else:
            start, end = offsets[position]
            tokens.append(Token(position, text[start:end], start, end))
    return tokens


def weighted(tokens: Sequence[Token], weights: Sequence[float]) -> list[dict[str, Any]]:
    """The tokens as an answer lists them. weights: one for each token of the model's input."""
    return [
        {"text": token.text, "start": token.start, "end": token.end, "weight": weights[token.position]}
        for token in tokens
    ]


def stand_in(tokenizer: Any, kind: str) -> int | None:
    """The id of a token that stands for no text: "pad", "mask" or "unknown"; None if there is none."""
    identifier: int | None = getattr(tokenizer, {"pad": "pad", "mask": "mask", "unknown": "unk"}[kind] + "_token_id")
    return identifier
