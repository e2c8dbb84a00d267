"""Overlapping windows of a recording, and what is recognised in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from torch import Tensor


@dataclass(frozen=True)
class Settings:
    """The wishes of one request.

    timestamps: none, word or segment. language: its token, None to detect it. task: transcribe or translate.
    max_new_tokens: in one pass over a window. The last three are Whisper's.
    """

    timestamps: str
    language: int | None = None
    task: str = "transcribe"
    max_new_tokens: int = 0


@dataclass(eq=False)
class Window:
    """waveform: (samples,). left, right: samples at its ends that its neighbours tell better.

    tokens: recognised so far; all of them once it is `done`. written: those of a pass that has not ended. times: where
    words were asked for, the second of the window at which each of the tokens begins; written_times: of those written.
    language: its token, where the model has some. truncated: the limit on tokens ended it. finite: the model's outputs
    are numbers.
    """

    waveform: Tensor
    index: int
    left: int
    right: int
    settings: Settings
    tokens: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    written_times: list[float] = field(default_factory=list)
    language: int | None = None
    done: bool = False
    truncated: bool = False
    finite: bool = True

    @property
    def timed(self) -> bool:
        """Whether the text is to have timestamps of any kind."""
        return self.settings.timestamps != "none"


def cut(waveform: Tensor, length: int, stride: int, settings: Settings) -> list[Window]:
    """(samples,) → windows of `length` samples, the last one shorter.

    stride: samples at both ends of a window that serve as context, but for the ends of the recording; so windows
    overlap by twice as many.
    """
    total, step = len(waveform), length - 2 * stride
    windows = []
    for index, start in enumerate(range(0, total, step)):
        is_last = start + length >= total
        windows.append(
            Window(waveform[start : start + length], index, stride if start else 0, 0 if is_last else stride, settings)
        )
        if is_last:
            break
    return windows


def finished(windows: Sequence[Window]) -> list[Window]:
    """The windows up to the first that is not done."""
    return list(takewhile(lambda window: window.done, windows))
