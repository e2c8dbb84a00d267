"""CTC models, such as wav2vec2 and HuBERT: the most probable token of each frame, repeats and blanks left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from transformers import Wav2Vec2CTCTokenizer

from handlers.audio.recognition.recogniser import Changed, Recogniser, Transcript
from handlers.audio.recognition.window import Settings, Window, finished
from handlers.batching.length_buckets import length_buckets
from handlers.protocol.payload import Payload

Extract = Callable[..., Any]


class Ctc(Recogniser):
    timestamps = ("word",)

    def __init__(
        self, model: Any, extractor: Any, tokenizer: Any, options: Mapping[str, Any], seconds: float, rows: int
    ) -> None:
        """seconds: of a window, unless the options say otherwise. rows: windows in one run of the model."""
        if not isinstance(tokenizer, Wav2Vec2CTCTokenizer):
            raise ValueError(f"wanted a folder with a Wav2Vec2CTCTokenizer; got a {type(tokenizer).__name__}")
        ratio = getattr(model.config, "inputs_to_logits_ratio", None)
        if not isinstance(ratio, int):
            raise ValueError("config.json does not say how many samples make a frame; wanted conv_stride, a list")
        if options["timestamps"] not in ("none", "word"):
            raise ValueError(f"timestamps: a CTC model has none or word; got {options['timestamps']}")
        self.model, self.extractor, self.tokenizer = model, extractor, tokenizer
        self.default = str(options["timestamps"])
        self.rows, self.frame = rows, ratio
        self.rate = int(extractor.sampling_rate)
        self.length = self.whole_frames(float(options.get("window_seconds", seconds)))
        self.stride = self.whole_frames(float(options.get("stride_seconds", self.length / self.rate / 6)))
        # A model that was trained with one normalises each frame by itself, so that padding behind it is not heard.
        self.masked = (
            bool(extractor.return_attention_mask) and getattr(model.config, "feat_extract_norm", "") == "layer"
        )

    def whole_frames(self, seconds: float) -> int:
        return round(seconds * self.rate / self.frame) * self.frame

    def settings(self, payload: Payload) -> Settings:
        return Settings(self.timestamps_of(payload, self.default))

    def groups(self, windows: Sequence[Window]) -> list[list[Window]]:
        """Of like lengths where the model has a mask for what is padded, else of equal ones."""
        lengths = [len(window.waveform) for window in windows]
        if self.masked:
            same = length_buckets(lengths)
        else:
            by_length: dict[int, list[int]] = {}
            for number, length in enumerate(lengths):
                by_length.setdefault(length, []).append(number)
            same = list(by_length.values())
        return [
            [windows[n] for n in numbers[i : i + self.rows]]
            for numbers in same
            for i in range(0, len(numbers), self.rows)
        ]

    def run(self, windows: list[Window], changed: Changed | None) -> None:
        logits = self.logits([window.waveform for window in windows])
        whole = torch.isfinite(logits).flatten(1).all(dim=1).tolist()
        for window, row, is_finite in zip(windows, logits.argmax(dim=-1).tolist(), whole, strict=True):
            window.finite = is_finite
            window.tokens = row[self.to_frames(window.left, window) : self.last_frame(window)]
            window.done = True
            if changed is not None:
                changed(window)

    def logits(self, waveforms: Sequence[Tensor]) -> Tensor:
        """(B, samples) each → (B, frames, tokens)."""
        inputs = self.extractor(
            [waveform.numpy() for waveform in waveforms],
            sampling_rate=self.rate,
            padding=self.masked,
            return_tensors="pt",
        ).to(self.model.device)
        name = self.model.main_input_name
        inputs[name] = inputs[name].to(self.model.dtype)
        logits: Tensor = self.model(**inputs).logits
        return logits.float().cpu()

    def to_frames(self, samples: int, window: Window) -> int:
        """As transformers' pipeline rounds them: the window to whole frames, then its parts in proportion."""
        length = len(window.waveform)
        return round(samples / length * round(length / self.frame))

    def last_frame(self, window: Window) -> int:
        length = len(window.waveform)
        end = round(length / self.frame) - self.to_frames(window.right, window)
        if not self.masked:
            return end
        return min(end, int(self.model._get_feat_extract_output_lengths(torch.tensor(length))))

    def transcript(self, windows: Sequence[Window], seconds: float) -> Transcript:
        ids = list(chain.from_iterable(window.tokens for window in windows))
        text = self.tokenizer.decode(ids)
        if windows[0].settings.timestamps == "none":
            return Transcript(text)
        spelled: Any = self.tokenizer.decode(ids, output_word_offsets=True)
        each = self.frame / self.rate
        return Transcript(
            text,
            [
                {
                    "text": word["word"],
                    "start": round(float(word["start_offset"] * each), 3),
                    "end": round(float(word["end_offset"] * each), 3),
                }
                for word in spelled.word_offsets
            ],
        )

    def settled(self, windows: Sequence[Window]) -> str:
        """Without the last word, which may go on in the next window."""
        known = finished(windows)
        text = self.transcript(known, 0.0).text if known else ""
        return text.rpartition(" ")[0].rstrip()
