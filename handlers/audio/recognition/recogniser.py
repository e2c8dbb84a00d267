"""The interface of a kind of speech model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from handlers.audio.recognition.window import Settings, Window
from handlers.protocol.payload import Payload

Changed = Callable[[Window], None]


@dataclass(frozen=True)
class Transcript:
    """parts: {"text", "start", "end"} of each word or segment, in seconds, where they were asked for. language: its
    code, of a model that knows several."""

    text: str
    parts: list[dict[str, Any]] = field(default_factory=list)
    language: str | None = None


class Recogniser(ABC):
    """length, stride: of its windows, in samples. timestamps: those it can give beside "none"."""

    timestamps: tuple[str, ...]
    length: int
    stride: int

    @abstractmethod
    def settings(self, payload: Payload) -> Settings:
        """Read from a request's parameters; InvalidInput for one that the model cannot follow."""

    @abstractmethod
    def groups(self, windows: Sequence[Window]) -> list[list[Window]]:
        """Windows in groups that the model can take at once, none larger than its memory holds."""

    @abstractmethod
    def run(self, windows: list[Window], changed: Changed | None) -> None:
        """Recognise one group; all its windows are done then. changed: called where a window has new tokens."""

    @abstractmethod
    def transcript(self, windows: Sequence[Window], seconds: float) -> Transcript:
        """The text of one recording, all of whose windows are done. seconds: of the recording."""

    @abstractmethod
    def settled(self, windows: Sequence[Window]) -> str:
        """The beginning of a recording's text that no further token can change."""

    def timestamps_of(self, payload: Payload, default: str) -> str:
        return payload.choice("timestamps", default, ("none", *self.timestamps))
