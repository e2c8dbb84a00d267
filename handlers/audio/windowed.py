"""Tasks that give one answer for a whole recording, from the mean over its windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handlers.audio.handler import MIN_SECONDS, AudioHandler
from handlers.audio.windows import Windowing, Windows, flatten
from handlers.protocol.payload import Payload
from handlers.sample import sample_payload


@dataclass(frozen=True)
class Item:
    """additions: `AudioHandler.additions`."""

    windows: Windows
    additions: dict[str, Any]


AnItem = TypeVar("AnItem", bound=Item)


class WindowedAudio(AudioHandler[AnItem, NDArray[np.float32]]):
    """preprocessing: {"sample_rate", "seconds" of a window}; the spec's window_seconds overrides the latter."""

    @cached_property
    def windowing(self) -> Windowing:
        return Windowing.of_seconds(
            float(self.options.get("window_seconds", self.artifact.preprocessing["seconds"])),
            self.options.get("hop_seconds"),
            self.sample_rate,
            self.options["average"],
            MIN_SECONDS if self.extractor is not None else None,
        )

    def load(self) -> None:
        super().load()
        self.windowing  # noqa: B018 - raises for options that cannot be

    def example(self) -> tuple[Tensor, tuple[int, ...]]:
        """On a GPU the sample's first window: its answers decide about the precision, and all windows are as long."""
        if self.device.type != "cuda":
            return super().example()
        return self.windowing.cut(self.waveform(sample_payload(self.artifact, self.input_type))).waveforms[:1], (0,)

    def cut(self, payload: Payload) -> Item:
        waveform = self.waveform(payload)
        return Item(self.windowing.cut(waveform), self.additions(payload, waveform))

    def by_window(self, items: Sequence[AnItem], read: Callable[[Any], Tensor]) -> Sequence[NDArray[np.float32]]:
        """(windows, …) for each item. read: a model's output for a batch of windows → (B, …)."""
        windows = flatten([item.windows for item in items])
        rows: list[Tensor] = [torch.empty(0)] * len(windows)
        for numbers, output in self.call(windows):
            for number, row in zip(numbers, read(output).cpu(), strict=True):
                rows[number] = row
        counts = [len(item.windows.weights) for item in items]
        return [part.numpy() for part in torch.stack(rows).split(counts)]
