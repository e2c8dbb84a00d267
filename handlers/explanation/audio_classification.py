"""Explains a class of a recording: when, and at which frequencies, something speaks for or against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handlers.audio.audio_classification import AudioClassification, AudioClassificationInput
from handlers.errors import InvalidInput
from handlers.explanation.answer import described
from handlers.explanation.asked import INTEGRATED_GRADIENTS, OCCLUSION, SALIENCY, Asked, read_method, read_target
from handlers.explanation.attribution import Attribution, Attributor, Score, positions
from handlers.explanation.explainer import Explainer
from handlers.explanation.grid import averaged, summed
from handlers.explanation.heat_map import spectrogram
from handlers.explanation.spectra import spectrum_of
from handlers.protocol.payload import InputType, Payload
from handlers.protocol.response import JSON, PNG, Response, to_json

# Size of an answer's grid.
MAX_BANDS, MAX_FRAMES = 64, 200
# Occlusion windows side by side: in bands, and in frames by default, where they also overlap by half.
BANDS, FRAMES = 8, 10


@dataclass(frozen=True)
class SoundQuestion:
    """recording: as for a prediction. part: index of one of its windows; None for the class's most probable one."""

    recording: AudioClassificationInput
    part: int | None
    asked: Asked


@dataclass(frozen=True)
class SoundAttribution:
    """values: (bands, frames), the lowest band first. seconds: time of each frame in the recording. target: the class's
    index. runs: of the model."""

    attribution: Attribution
    values: NDArray[np.float32]
    seconds: NDArray[np.float32]
    part: int
    target: int
    runs: int


class AudioClassificationExplainer(Explainer[AudioClassification, SoundQuestion, SoundAttribution]):
    """A class's score is its logit in one window of the recording; the baseline is silence."""

    task_class = AudioClassification
    input_type = InputType.MEDIA
    media_types = (JSON, PNG)
    methods: ClassVar[tuple[str, ...]] = (INTEGRATED_GRADIENTS, OCCLUSION, SALIENCY)

    def load(self) -> None:
        super().load()
        self.spectrum = spectrum_of(self.task)

    def decode(self, payload: Payload) -> SoundQuestion:
        method = read_method(payload, self.methods, self.differentiable)
        target = read_target(payload, self.labels)
        steps, refine = self.explain_limits.steps(payload, method)
        cut = self.task.cut(payload)
        if "silent" in cut.additions:
            raise InvalidInput("the recording is silent, so no class was predicted that could be explained")
        windows = len(cut.windows.weights)
        part = payload.integer("part", 0, 0, windows - 1) if "part" in payload.parameters else None
        asked = Asked(method, target, steps, refine, evaluations=steps + windows)
        if method == OCCLUSION:
            asked = self.windows(payload, asked, cut.windows.waveforms[0], windows)
        self.explain_limits.check(asked.evaluations, f"a recording of {windows} windows", "a shorter one")
        return SoundQuestion(AudioClassificationInput(cut.windows, cut.additions, 1), part, asked)

    def windows(self, payload: Payload, asked: Asked, waveform: Tensor, windows: int) -> Asked:
        """The occlusion's windows: an eighth of the bands, and as many frames as requested."""
        with torch.no_grad():
            _, bands, frames, *rest = self.spectrum.inputs(waveform.to(self.device)).shape
        wide = payload.integer("window", max(1, frames // FRAMES), 1, frames)
        step = payload.integer("stride", max(1, wide // 2), 1, wide)
        tall = max(1, bands // BANDS)
        runs = positions(bands, tall, tall) * positions(frames, wide, step)
        self.explain_limits.check(runs, f"window {wide}, stride {step}", "a larger window and stride")
        return replace(asked, window=(tall, wide, *rest), stride=(tall, step, *rest), evaluations=runs + windows)

    def explain_item(self, item: SoundQuestion, attributor: Callable[[Score], Attributor]) -> SoundAttribution:
        windows = item.recording.windows
        with torch.no_grad():
            [probabilities] = self.task.predict([item.recording])
            index = item.asked.target
            if index is None:
                index = int(windows.mean(probabilities).argmax())
            part = int(probabilities[:, index].argmax()) if item.part is None else item.part
            waveform = windows.waveforms[part].to(self.device)
            baseline = self.spectrum.inputs(torch.zeros_like(waveform))
            inputs = self.spectrum.inputs(waveform)
        by = attributor(lambda inputs: self.spectrum.logits(inputs)[:, index])
        match item.asked.method:
            case "integrated-gradients":
                attribution = by.integrated_gradients(inputs, baseline, item.asked.n_steps, item.asked.refine)
            case "occlusion":
                attribution = by.occlusion(inputs, baseline, item.asked.window, item.asked.stride)
            case _:
                attribution = by.saliency(inputs)
        values = attribution.values
        values = values.flatten(start_dim=2).sum(dim=2) if values.ndim > 2 else values
        seconds = self.seconds(item, part, values.shape[1])
        return SoundAttribution(attribution, values.numpy(), seconds, part, index, by.runs + len(probabilities))

    def seconds(self, item: SoundQuestion, part: int, frames: int) -> NDArray[np.float32]:
        """Times of one window's frames in the recording; negative ones precede a recording that is shorter than the
        window and centred in it."""
        windows, rate = item.recording.windows, self.task.sample_rate
        (start, end), samples = windows.spans[part], windows.waveforms.shape[1]
        if self.task.windowing.shortest is None and len(windows.spans) == 1:
            start -= (samples - round((end - start) * rate)) // 2 / rate
        hop = self.spectrum.hop or samples / rate / max(1, frames - 1)
        seconds: NDArray[np.float32] = (start + hop * np.arange(frames)).astype(np.float32)
        return seconds

    def encode(self, item: SoundQuestion, output: SoundAttribution, media_type: str) -> Response:
        values = summed(output.values, MAX_BANDS, MAX_FRAMES)
        bands, frames = values.shape
        seconds = averaged(output.seconds, frames)
        curve, label = values.sum(axis=0), self.labels[output.target]
        frequencies = self.spectrum.frequencies
        hertz = None if frequencies is None else averaged(np.asarray(frequencies, np.float32), bands)
        if media_type == PNG:
            top, bottom = ("high", "low") if hertz is None else (f"{hertz[-1]:.0f} Hz", f"{hertz[0]:.0f} Hz")
            drawn = spectrogram(values, curve, (float(seconds[0]), float(seconds[-1])), top, bottom)
            return Response(drawn, PNG, classes=[label])
        start, end = item.recording.windows.spans[output.part]
        body = {
            **described(item.asked, output.attribution, label, output.target, output.runs),
            "part": {"index": output.part, "start": start, "end": end},
            "seconds": seconds,
            "hertz": hertz,
            "attributions": values,
            "curve": curve,
        }
        return Response(to_json(body | item.recording.additions), classes=[label])
