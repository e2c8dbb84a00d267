"""Whisper: an encoder of 30 seconds of sound, and a decoder that writes down what was said (Radford et al. 2022)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationMixin, LogitsProcessorList, StoppingCriteriaList
from transformers.generation.logits_process import WhisperTimeStampLogitsProcessor
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

from handlers.audio.recognition.alignment import Alignment
from handlers.audio.recognition.generation import Limits, Progress
from handlers.audio.recognition.recogniser import Changed, Recogniser, Transcript
from handlers.audio.recognition.whisper_text import WhisperText
from handlers.audio.recognition.window import Settings, Window
from handlers.errors import InvalidInput, shown
from handlers.protocol.payload import Payload

# A pass over a window may leave its end to the next one. Speech takes one or two; each can write max_new_tokens.
MAX_PASSES = 8
TASKS = ("transcribe", "translate")
AUTO = "auto"
# It warns of every text without a timestamp at its end, which is what a recording is that was cut off.
logging.getLogger("transformers.models.whisper.tokenization_whisper").setLevel(logging.ERROR)


class Whisper(Recogniser):
    def __init__(
        self,
        model: Any,
        extractor: Any,
        tokenizer: Any,
        options: Mapping[str, Any],
        seconds: float,
        limit: int,
        rows: int,
    ) -> None:
        """seconds: of a window, unless the options say otherwise. limit: tokens that a pass over a window may write.
        rows: windows in one run of the model."""
        self.model, self.extractor, self.rows = model, extractor, rows
        self.rate = int(extractor.sampling_rate)
        window_seconds = float(options.get("window_seconds", seconds))
        if window_seconds > extractor.chunk_length:
            raise ValueError(f"window_seconds: this model hears {extractor.chunk_length}; got {window_seconds:g}")
        self.length = round(window_seconds * self.rate)
        self.stride = round(float(options.get("stride_seconds", window_seconds / 6)) * self.rate)
        self.frames = int(extractor.nb_max_frames)  # of features
        precision = extractor.chunk_length / model.config.max_source_positions
        self.frames_of_position = self.frames // model.config.max_source_positions
        heads = getattr(model.generation_config, "alignment_heads", None)
        self.alignment = Alignment(model, heads, precision) if heads else None
        self.timestamps = ("segment", "word") if self.alignment else ("segment",)
        self.no_timestamps = int(tokenizer.convert_tokens_to_ids("<|notimestamps|>"))
        self.text = WhisperText(tokenizer, self.no_timestamps + 1, precision, self.rate)
        self.configuration = model.generation_config
        self.configuration.update(num_beams=1, do_sample=False, max_length=None)
        self.end = int(model.generation_config.eos_token_id)
        self.start = int(model.generation_config.decoder_start_token_id)
        known = getattr(model.generation_config, "lang_to_id", None) or {}
        is_multilingual = bool(getattr(model.generation_config, "is_multilingual", known)) and bool(known)
        self.languages: dict[str, int] = {n.strip("<|>"): i for n, i in known.items()} if is_multilingual else {}
        self.codes = {token: code for code, token in self.languages.items()}
        self.tasks = {task: int(tokenizer.convert_tokens_to_ids(f"<|{task}|>")) for task in TASKS}
        self.most_new_tokens = min(limit, model.config.max_target_positions - 4)
        self.default = Settings(
            str(options["timestamps"]),
            self.language(options["language"]) if self.languages else None,
            str(options["task"]),
            min(int(options.get("max_new_tokens", limit)), self.most_new_tokens),
        )
        if self.default.timestamps not in ("none", *self.timestamps):
            raise ValueError(
                f"timestamps: this model has none or {' or '.join(self.timestamps)}; got {self.default.timestamps}; "
                "words need alignment_heads in its generation_config.json"
            )
        if not self.languages and (options["language"] != AUTO or self.default.task != TASKS[0]):
            raise ValueError("language, task: this model knows one language, and transcribes it")

    def language(self, value: Any) -> int | None:
        """The token of a language's code or English name; InvalidInput for one that the model does not know."""
        name = value.strip().lower() if isinstance(value, str) else ""
        if name == AUTO:
            return None
        token = self.languages.get(name, self.languages.get(TO_LANGUAGE_CODE.get(name, "")))
        if token is None:
            raise InvalidInput(
                f"language: got {shown(value)}, wanted auto, or one of this model's {len(self.languages)} languages "
                "by its code or English name, such as de or german"
            )
        return token

    def settings(self, payload: Payload) -> Settings:
        default = self.default
        timestamps = self.timestamps_of(payload, default.timestamps)
        new_tokens = payload.integer("max_new_tokens", default.max_new_tokens, 1, self.most_new_tokens)
        if not self.languages:
            return Settings(timestamps, max_new_tokens=new_tokens)
        asked = "language" in payload.parameters
        language = self.language(payload.parameters["language"]) if asked else default.language
        return Settings(timestamps, language, payload.choice("task", default.task, TASKS), new_tokens)

    def groups(self, windows: Sequence[Window]) -> list[list[Window]]:
        return [list(windows[first : first + self.rows]) for first in range(0, len(windows), self.rows)]

    def run(self, windows: list[Window], changed: Changed | None) -> None:
        """Each pass encodes what is left of all windows, and writes their texts together."""
        features, sounds = self.features(windows)
        for window in windows:
            window.tokens, window.times = [], []
        left = dict.fromkeys(range(len(windows)), 0)  # the frame from which a window is still to be heard
        for _ in range(MAX_PASSES):
            heard = torch.stack([self.from_frame(features[number], frame) for number, frame in left.items()])
            encoded = self.model.get_encoder()(heard.to(self.model.device, self.model.dtype)).last_hidden_state
            for number, is_finite in zip(left, torch.isfinite(encoded).flatten(1).all(dim=1).tolist(), strict=True):
                windows[number].finite = is_finite
            self.detect([windows[number] for number in left], encoded)
            whole = [row for row, number in enumerate(left) if windows[number].finite]
            numbers = list(left)
            for timed in (False, True):
                rows = [row for row in whole if windows[numbers[row]].timed == timed]
                if rows:
                    self.write([windows[numbers[row]] for row in rows], encoded[rows], changed)
            for row in whole:
                self.align(windows[numbers[row]], encoded[row], left[numbers[row]], sounds[numbers[row]])
            ends = {number: self.text.end_of_pass(windows[number]) for number in left if windows[number].finite}
            left = {
                number: left[number] + end * self.frames_of_position
                for number, end in ends.items()
                if end is not None and left[number] + end * self.frames_of_position < self.frames
            }
            if not left:
                break
        for number, window in enumerate(windows):
            window.truncated |= number in left
            window.done = True
            if changed is not None:
                changed(window)

    def features(self, windows: Sequence[Window]) -> tuple[Tensor, list[int]]:
        """(B, mels, frames), as many frames for every window: silence stands behind a short one; and how many frames
        of each are sound."""
        found = self.extractor(
            [window.waveform.numpy() for window in windows],
            sampling_rate=self.rate,
            return_tensors="pt",
            return_attention_mask=True,
            device=str(self.model.device),
        )
        return found.input_features, found.attention_mask.sum(dim=1).tolist()

    def align(self, window: Window, encoded: Tensor, start: int, sound: int) -> None:
        """Give the tokens of a pass their times, where words were asked for.

        encoded: (positions, channels). start: the frame at which the pass began. sound: frames of the window.
        """
        if self.alignment is None or window.settings.timestamps != "word":
            return
        positions = (sound - start) // self.frames_of_position
        prompt = self.prompt(window.settings, window.language)
        times = self.alignment.times(prompt, window.written, encoded, positions, window.truncated)
        begin = start / self.frames * self.extractor.chunk_length
        window.written_times = [begin + time for time in times]

    def from_frame(self, features: Tensor, frame: int) -> Tensor:
        return torch.nn.functional.pad(features[:, frame:], (0, frame))

    def detect(self, windows: Sequence[Window], encoded: Tensor) -> None:
        """Give windows without a language the one asked for, or the most probable."""
        unknown = []
        for row, window in enumerate(windows):
            window.language = window.language or window.settings.language
            if self.languages and window.language is None:
                unknown.append(row)
        if unknown:
            tokens = self.model.detect_language(
                encoder_outputs=BaseModelOutput(last_hidden_state=encoded[unknown]),
                generation_config=self.configuration,
            )
            for row, token in zip(unknown, tokens.tolist(), strict=True):
                windows[row].language = token

    def write(self, windows: Sequence[Window], encoded: Tensor, changed: Changed | None) -> None:
        """One pass: the most probable tokens of windows that are alike in having timestamps, into their `written`.

        encoded: (B, positions, channels).
        """
        prompts = torch.tensor([self.prompt(window.settings, window.language) for window in windows])
        begin, limits = prompts.shape[1], [window.settings.max_new_tokens for window in windows]
        processors = LogitsProcessorList()
        if windows[0].timed:
            processors.append(WhisperTimeStampLogitsProcessor(self.configuration, begin_index=begin))
        # The method of the base class: Whisper's own encodes by itself, with one task for all.
        sequences = GenerationMixin.generate(
            self.model,
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
            attention_mask=torch.ones(encoded.shape[:2], dtype=torch.long, device=encoded.device),
            decoder_input_ids=prompts.to(encoded.device),
            logits_processor=processors,
            stopping_criteria=StoppingCriteriaList([Limits(limits, begin)]),
            streamer=None if changed is None else Progress(windows, self.end, changed),
            max_new_tokens=max(limits),
        )
        for window, row, limit in zip(windows, sequences[:, begin:].tolist(), limits, strict=True):
            count = row.index(self.end) if self.end in row else len(row)
            window.written = row[: min(count, limit)]
            window.truncated = count >= limit

    def prompt(self, settings: Settings, language: int | None) -> list[int]:
        """The tokens that tell the decoder what to write."""
        kind = [] if language is None else [language, self.tasks[settings.task]]
        return [self.start, *kind, *([self.no_timestamps] if settings.timestamps == "none" else [])]

    def transcript(self, windows: Sequence[Window], seconds: float) -> Transcript:
        """language: the one of most windows."""
        text, parts = self.text.whole(windows, seconds)
        spoken = Counter(window.language for window in windows if window.language is not None).most_common(1)
        language = self.codes[spoken[0][0]] if spoken and spoken[0][0] is not None else None
        return Transcript(text, parts if windows[0].settings.timestamps != "none" else [], language)

    def settled(self, windows: Sequence[Window]) -> str:
        return self.text.settled(windows)
