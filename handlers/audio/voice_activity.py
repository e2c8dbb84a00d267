"""Voice activity: a recording in, the segments out in which somebody speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from handlers.audio.handler import AudioHandler
from handlers.audio.speech_segments import Segmentation, find_segments
from handlers.errors import InternalError
from handlers.protocol.payload import Payload
from handlers.protocol.response import Response, to_json

# The most that a request may ask for, in seconds.
LONGEST = 60.0


@dataclass(frozen=True)
class VoiceActivityInput:
    waveform: Tensor
    segmentation: Segmentation
    additions: dict[str, Any]


class VoiceActivity(AudioHandler[VoiceActivityInput, NDArray[np.float32]]):
    """For causal models from waveforms (B, samples) to the probability of speech in each frame, (B, frames).

    preprocessing: {"sample_rate": Hz, "frame": samples}; the last frame is filled up with silence. A causal model does
    not hear the silence that recordings of one batch are padded with. Every call starts from the model's initial state.
    """

    def load(self) -> None:
        super().load()
        self.frame = int(self.artifact.preprocessing["frame"])
        names = Segmentation.__dataclass_fields__
        self.segmentation = Segmentation(**{name: self.options[name] for name in names})

    def decode(self, payload: Payload) -> VoiceActivityInput:
        default = self.segmentation
        waveform = self.waveform(payload)
        segmentation = Segmentation(
            threshold=payload.number("threshold", default.threshold, 0.0, 1.0),
            min_speech_seconds=payload.number("min_speech_seconds", default.min_speech_seconds, 0.0, LONGEST),
            min_silence_seconds=payload.number("min_silence_seconds", default.min_silence_seconds, 0.0, LONGEST),
            pad_seconds=payload.number("pad_seconds", default.pad_seconds, 0.0, LONGEST),
        )
        return VoiceActivityInput(waveform, segmentation, self.additions(payload, waveform))

    def predict(self, items: Sequence[VoiceActivityInput]) -> Sequence[NDArray[np.float32]]:
        """(frames,) for each recording, as many as it has begun."""
        waveforms = pad_sequence([item.waveform for item in items], batch_first=True)
        probabilities = self.model(waveforms.to(self.device)).float().cpu().numpy()
        return [row[: -(-len(item.waveform) // self.frame)] for row, item in zip(probabilities, items, strict=True)]

    def encode(self, item: VoiceActivityInput, output: NDArray[np.float32], media_type: str) -> Response:
        if not np.isfinite(output).all():
            raise InternalError("the model's output for this input is not finite")
        seconds = len(item.waveform) / self.sample_rate
        found = find_segments(output, self.frame / self.sample_rate, seconds, item.segmentation)
        body = {
            "segments": [{"start": round(start, 3), "end": round(end, 3)} for start, end in found],
            "speech_seconds": round(sum(end - start for start, end in found), 3),
            "seconds": round(seconds, 3),
        }
        return Response(to_json(body | item.additions), classes=["speech" if found else "no speech"])
