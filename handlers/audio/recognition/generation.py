"""Ends and follows the generation of tokens for a batch of windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria
from transformers.generation.streamers import BaseStreamer

from handlers.audio.recognition.recogniser import Changed
from handlers.audio.recognition.window import Window


class Limits(StoppingCriteria):
    """Ends each text at its own number of tokens."""

    def __init__(self, limits: Sequence[int], begin: int) -> None:
        """begin: tokens of the prompt."""
        self.limits, self.begin = torch.tensor(limits), begin

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        return input_ids.shape[1] - self.begin >= self.limits.to(input_ids.device)


class Progress(BaseStreamer):
    """Notes each token as it is written."""

    def __init__(self, windows: Sequence[Window], end: int, changed: Changed) -> None:
        self.windows, self.end_token, self.changed = windows, end, changed
        self.open = set(range(len(windows)))
        for window in windows:
            window.written = []

    def put(self, value: Tensor) -> None:
        """value: the prompts (B, length) first, then the tokens (B,) of one step."""
        if value.dim() > 1:
            return
        for row, token in enumerate(value.tolist()):
            window = self.windows[row]
            if token == self.end_token or len(window.written) >= window.settings.max_new_tokens:
                self.open.discard(row)
            if row in self.open:
                window.written.append(token)
                self.changed(window)

    def end(self) -> None:
        """Nothing is held back here."""
