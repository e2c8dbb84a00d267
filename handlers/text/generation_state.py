"""A text while it is being written, token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

FinishReason = Literal["length", "eos_token", "stop_sequence", "time_limit", "not_finite"]

CONTEXT = 6  # tokens of the prompt that decide how the first new one is spelled: with a space before it or without
INCOMPLETE = "\ufffd"  # what bytes that do not make a character yet are decoded to


class GenerationState:
    """tokens: written so far. text: what they say, without a stop sequence. finish_reason: None while it goes on."""

    def __init__(
        self, prompt: Sequence[int], decode: Callable[[Sequence[int]], str], limit: int, stop: Sequence[str]
    ) -> None:
        """prompt: its tokens. decode: tokens → text. limit: tokens to write. stop: texts that end it."""
        self.context = list(prompt[-CONTEXT:])
        self.decode = decode
        self.limit = limit
        self.stop = stop
        self.tokens: list[int] = []
        self.text = ""
        self.finish_reason: FinishReason | None = None
        self.taken = 0

    def add(self, token: int, is_end: bool) -> None:
        """One token more; is_end: it is the model's own sign that the text is over."""
        self.tokens.append(token)
        if is_end:
            self.finish_reason = "eos_token"
        elif len(self.tokens) >= self.limit:
            self.finish_reason = "length"
        self.text = self.decode(self.context + self.tokens)[len(self.decode(self.context)) :]
        found = [place for place in (self.text.find(stop) for stop in self.stop) if place >= 0]
        if found:
            self.text = self.text[: min(found)]
            self.finish_reason = "stop_sequence"

    def take(self) -> str:
        """New text since the last call that can no longer change: no half character, no start of a stop sequence."""
        end = len(self.text)
        if self.finish_reason is None:
            end = len(self.text.rstrip(INCOMPLETE))
            lengths = [n for stop in self.stop for n in range(1, len(stop)) if self.text[:end].endswith(stop[:n])]
            end -= max(lengths, default=0)
        new = self.text[self.taken : end]
        self.taken = max(self.taken, end)
        return new
