"""The base of every task on texts: a tokenizer and limits on length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

import orjson

from handlers.base import Handler
from handlers.drift.statistics import of_text
from handlers.errors import InvalidInput, TooLarge, shown
from handlers.formats import pretrained
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import check_tokens, vocabulary
from handlers.networks.positions import max_tokens
from handlers.protocol.payload import InputType, Payload


@dataclass(frozen=True, kw_only=True)
class TextInput:
    """ids: token ids, cut to the model's length. total: tokens of the whole text.

    types: of the tokens, for models that tell a text's two parts by it.
    """

    ids: list[int]
    total: int
    types: list[int] | None = None

    def truncation_info(self) -> dict[str, Any]:
        """The part of an answer about a text that was cut; empty for one that was not."""
        if self.total == len(self.ids):
            return {}
        return {"truncated": True, "tokens": {"read": len(self.ids), "sent": self.total}}


Item = TypeVar("Item", bound=TextInput)
Output = TypeVar("Output")


class TextHandler(Handler[Item, Output]):
    """For Hugging Face folders with their tokenizer; a task loads the model, and adds what goes in and out."""

    input_type = InputType.TEXT

    def load(self) -> None:
        from transformers import AutoTokenizer

        self.tokenizer = pretrained.read(AutoTokenizer, self.artifact.weights, "tokenizer")
        check_tokens(self.tokenizer)
        self.config: dict[str, Any] = orjson.loads((self.artifact.weights / "config.json").read_bytes())
        known = vocabulary(self.config)
        if known is not None and len(self.tokenizer) > known:
            raise UnsafeFile(f"the tokenizer has {len(self.tokenizer)} tokens; the model knows {known} (config.json)")
        # A fast tokenizer keeps its truncation as a state, and threads decode.
        self.lock = Lock()
        self.core = core_of(self.tokenizer)
        self.max_length = int(self.artifact.preprocessing["max_length"])
        positions = max_tokens(self.config)
        if positions is not None:
            self.max_length = min(self.max_length, positions)
        if self.max_length < 1:
            raise UnsafeFile(f"config.json: the model has positions for {positions} tokens; wanted 1 or more")
        self.max_characters = int(self.limits["max_characters"])

    def read(self, value: Any, name: str = "the text") -> str:
        """A text that is one, and is neither empty nor over the limit; else InvalidInput or TooLarge."""
        if not isinstance(value, str):
            raise InvalidInput(f"{name}: got {shown(value)}, wanted text")
        if len(value) > self.max_characters:
            raise TooLarge(f"{name} has {len(value)} characters, the limit is {self.max_characters}")
        if not value.strip():
            raise InvalidInput(f"{name} is empty")
        return value

    def tokens_read(self, item: Item) -> int:
        return len(item.ids)

    def measure(self, payload: Payload, item: Item) -> Mapping[str, float]:
        return of_text(str(payload.data), item.ids, self.tokenizer.unk_token_id)

    def tokens(self, text: str, **options: Any) -> tuple[dict[str, Any], int]:
        """The tokenizer's output for a text, cut to the model's length, and the number of tokens of all of it."""
        with self.lock:
            encoded = self.tokenizer(text, verbose=False, **options)
            total = len(encoded["input_ids"])
            if total > self.max_length:
                encoded = self.tokenizer(text, truncation=True, max_length=self.max_length, **options)
        return encoded, total

    def cut_ids(self, text: str) -> tuple[list[int], int]:
        """The ids of a text's tokens, cut to the model's length, and the number of tokens of all of it."""
        ids = self.ids(text)
        if len(ids) <= self.max_length:
            return ids, len(ids)
        with self.lock:
            encoded = self.tokenizer(text, truncation=True, max_length=self.max_length)
        return list(encoded["input_ids"]), len(ids)

    def ids(self, text: str, special: bool = True) -> list[int]:
        """Of all tokens of a text; InvalidInput where it has none. special: with those that the tokenizer puts
        around it.
        """
        with self.lock:
            if self.core is None:
                ids = list(self.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])
            else:
                if self.core.truncation is not None:
                    self.core.no_truncation()
                ids = self.core.encode(text, add_special_tokens=special).ids
        if not ids:  # a tokenizer may leave out what it does not know, and a template may write nothing
            raise InvalidInput("the text: the model's tokenizer makes no tokens of it")
        return ids


def core_of(tokenizer: Any) -> Any:
    """The Rust tokenizer inside one of transformers, if that only hands a text on to it; else None.

    Of a short text the call costs as much as its tokens: 50 µs instead of 23.
    """
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

    kind = type(tokenizer)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        return None
    own = {"__call__": PreTrainedTokenizerBase, "_encode_plus": PreTrainedTokenizerFast}
    if any(getattr(kind, name) is not getattr(base, name) for name, base in own.items()):
        return None
    core = tokenizer.backend_tokenizer
    core.no_padding()
    core.encode_special_tokens = tokenizer.split_special_tokens
    return core
