"""The text of a recording from the tokens that Whisper wrote for its windows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch

from handlers.audio.recognition.overlap import settled_tokens
from handlers.audio.recognition.window import Window, finished

INCOMPLETE = "\ufffd"  # what bytes that do not make a character yet are decoded to


class WhisperText:
    """Tokens are texts, special ones, or timestamps from `first_timestamp` on, which count `precision` seconds each."""

    def __init__(self, tokenizer: Any, first_timestamp: int, precision: float, sample_rate: int) -> None:
        self.tokenizer, self.first, self.precision, self.rate = tokenizer, first_timestamp, precision, sample_rate
        self.special = set(tokenizer.all_special_ids)
        self.cleans = bool(tokenizer.clean_up_tokenization_spaces)

    def standing(self, written: Sequence[int]) -> tuple[int, int | None]:
        """How many tokens of a pass stand, and where the next pass begins: a timestamp's number, None without one.

        A segment ends with a timestamp, and the next one begins with another. The last segment, if it has no end, was
        cut off with its window: it is left out and heard again. A single timestamp at the end says that no speech
        follows. Of a pass that goes on, tokens that stand stay.
        """
        stamps = [token >= self.first for token in written]
        pairs = [place for place in range(1, len(written)) if stamps[place - 1] and stamps[place]]
        if not pairs or stamps[-2:] == [False, True]:
            return len(written), None
        return pairs[-1] + 1, written[pairs[-1] - 1] - self.first

    def end_of_pass(self, window: Window) -> int | None:
        """Keep the tokens that stand; returns where the next pass begins, None where none is needed."""
        count, end = self.standing(window.written)
        window.tokens += window.written[:count]
        window.times += window.written_times[:count]
        window.written, window.written_times = [], []
        return end

    def whole(self, windows: Sequence[Window], seconds: float) -> tuple[str, list[dict[str, Any]]]:
        """The text, and its words or segments. A segment that was cut off ends with the recording, of `seconds`."""
        if windows[0].settings.timestamps == "word":
            return self.words(windows, seconds)
        text, parts = self.read([(window, window.tokens) for window in windows])
        segments, last = [], 0.0
        for part in parts:
            start, end = part["timestamp"]
            start = last if start is None else start
            last = max(start, seconds) if end is None else end
            segments.append({"text": part["text"].strip(), "start": round(start, 3), "end": round(last, 3)})
        return text.strip(), segments

    def words(self, windows: Sequence[Window], seconds: float) -> tuple[str, list[dict[str, Any]]]:
        """As above. The language, behind which the tokens stand, decides whether spaces separate its words. What was
        written about the silence behind the recording is at its end."""
        outputs = []
        for window in windows:
            language = [] if window.language is None else [window.language]
            tokens, times = [*language, *window.tokens], [*([0.0] * len(language)), *window.times]
            outputs.append({**self.output(window, tokens), "token_timestamps": torch.tensor([times])})
        text, more = self.tokenizer._decode_asr(
            outputs, return_timestamps="word", return_language=None, time_precision=self.precision
        )
        words = []
        for chunk in more["chunks"]:
            start, end = (round(min(time, seconds), 3) for time in chunk["timestamp"])
            words.append({"text": chunk["text"].strip(), "start": start, "end": end})
        return text.strip(), words

    def output(self, window: Window, tokens: list[int]) -> dict[str, Any]:
        """As transformers' pipeline has it of a window."""
        stride = tuple(n / self.rate for n in (len(window.waveform), window.left, window.right))
        return {"tokens": torch.tensor([tokens], dtype=torch.long), "stride": stride}

    def read(self, windows: Sequence[tuple[Window, list[int]]]) -> tuple[str, list[dict[str, Any]]]:
        """Joined as transformers' pipeline joins them, by its tokenizer's own method."""
        outputs = [self.output(window, tokens) for window, tokens in windows]
        text, more = self.tokenizer._decode_asr(
            outputs, return_timestamps=True, return_language=None, time_precision=self.precision
        )
        return text, more["chunks"]

    def settled(self, windows: Sequence[Window]) -> str:
        """The beginning of the text that will not change; see `Recogniser.settled`.

        Windows are joined by the times of their words as well, where these are asked for: then nothing settles before
        the end.
        """
        if len(windows) > 1 and windows[0].settings.timestamps == "word":
            return ""
        if len(windows) == 1:
            [window] = windows
            text = self.read([(window, window.tokens + self.so_far(window.written))])[0]
        else:
            text = self.joined(finished(windows))
        text = text.lstrip()
        return (text.rpartition(" ")[0] if self.cleans else text.rstrip(INCOMPLETE)).rstrip()

    def so_far(self, written: list[int]) -> list[int]:
        """The tokens that stand whatever else the pass will write: a timestamp at the end may get a second one."""
        ends = bool(written) and written[-1] >= self.first
        return written[: self.standing(written[:-1] if ends else written)[0]]

    def joined(self, windows: Sequence[Window]) -> str:
        """The part that the next window cannot change: closed segments, or joined tokens without timestamps."""
        tokens = [window.tokens for window in windows]
        if any(token >= self.first for token in chain.from_iterable(tokens)):
            parts = self.read(list(zip(windows, tokens, strict=True)))[1]
            return "".join(part["text"] for part in parts if part["timestamp"][1] is not None)
        plain = [[token for token in part if token not in self.special] for part in tokens]
        return str(self.tokenizer.decode(settled_tokens(plain)))
