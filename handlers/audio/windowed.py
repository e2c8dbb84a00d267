"""Tasks that give one answer for a whole recording, from the mean over its windows."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from handlers.acceleration.accelerate import Function
from handlers.audio.handler import MIN_SECONDS, AudioHandler
from handlers.audio.waveform_model import WaveformModel
from handlers.audio.windows import Windowing, Windows, flatten
from handlers.protocol.payload import Payload
from handlers.sample import sample_payload

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Item:
    """additions: `AudioHandler.additions`."""

    windows: Windows
    additions: dict[str, Any]


AnItem = TypeVar("AnItem", bound=Item)


class WindowedAudio(AudioHandler[AnItem, NDArray[np.float32]]):
    """preprocessing: {"sample_rate", "seconds" of a window}; the spec's window_seconds overrides the latter."""

    # Of a Hugging Face model on a GPU: its main input → (what `read` makes of its output,).
    fast: Function | None = None

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
        if self.extractor is not None and self.device.type == "cuda":
            self.accelerate_windows()

    @abstractmethod
    def read(self, output: Any) -> Tensor:
        """A model's output for a batch of windows → (B, …), float32: what a GPU computes of an answer."""

    @torch.no_grad()
    def accelerate_windows(self) -> None:
        """Take the fastest form of a Hugging Face model, if it is called with one tensor alone.

        Its graphs are of whole windows; recordings shorter than one keep their length, of which there may be any.
        """
        rate, window = self.sample_rate, self.windowing.window
        heard = self.waveform(sample_payload(self.artifact, self.input_type))[:window]
        whole = self.extracted([F.pad(heard, (0, window - len(heard)))])
        short = self.extracted([heard[: round(MIN_SECONDS * rate)]])
        name = str(self.model.main_input_name)
        # Of windows of one length a mask hides nothing, and models that were trained with one answer alike without.
        others = [value for each in (whole, short) for key, value in each.items() if key != name]
        module = WaveformModel(self.model, name, self.read).eval()
        problem = "its feature extractor gives more than one input"
        if name in whole and all(bool((value == 1).all()) for value in others):
            wanted = (self.read(self.model(**whole.to(self.device))),)
            problem = self.judge(module(whole[name].to(self.device)), wanted)
        if problem:
            logger.warning("the model runs as it is: %s", problem)
            return
        example = whole[name].cpu()
        dynamic = [0, *(d for d in range(1, example.ndim) if example.shape[d] != short[name].shape[d])]
        lengths = example.shape[-1:] if dynamic == [0, 1] and example.ndim == 2 else ()
        self.fast = self.accelerate(lambda: module, example, dynamic, self.judge, lengths)

    def run(self, waveforms: Sequence[Tensor]) -> Any:
        if self.fast is None:
            return super().run(waveforms)
        return self.fast(self.extracted(waveforms)[self.model.main_input_name].to(self.device))[0]

    def example(self) -> tuple[Tensor, tuple[int, ...]]:
        """On a GPU the sample's first window: its answers decide about the precision, and all windows are as long."""
        if self.device.type != "cuda":
            return super().example()
        return self.windowing.cut(self.waveform(sample_payload(self.artifact, self.input_type))).waveforms[:1], (0,)

    def cut(self, payload: Payload) -> Item:
        waveform = self.waveform(payload)
        return Item(self.windowing.cut(waveform), self.additions(payload, waveform))

    def outputs_of(self, items: Sequence[AnItem]) -> NDArray[np.float32]:
        """The results of `read` for the windows of all items, one item after the other: (windows, …)."""
        windows = flatten([item.windows for item in items])
        groups = [(numbers, self.read(output).cpu().numpy()) for numbers, output in self.call(windows)]
        rows = groups[0][1]
        if len(groups) > 1:
            rows = np.empty((len(windows), *rows.shape[1:]), rows.dtype)
            for numbers, found in groups:
                rows[numbers] = found
        return rows


def by_item(rows: NDArray[np.float32], items: Sequence[Item]) -> list[NDArray[np.float32]]:
    """Rows of all windows, as `outputs_of` returns them → for each item, the rows of its own windows."""
    ends = accumulate(len(item.windows.weights) for item in items)
    return [rows[end - len(item.windows.weights) : end] for item, end in zip(items, ends, strict=True)]
