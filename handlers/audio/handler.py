"""The base of all tasks on recordings: decoding, the front end, features for inspection, and calling the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from handlers.acceleration.equivalence import Outputs, mismatch
from handlers.audio.decoding import decode_audio
from handlers.audio.front_end.level import is_silent
from handlers.base import Handler
from handlers.drift.statistics import of_recording
from handlers.errors import InvalidInput, TooLarge
from handlers.formats import pretrained
from handlers.networks.featured import Classify, Featured
from handlers.protocol.payload import InputType, Payload

if TYPE_CHECKING:
    from handlers.audio.features.extraction import Extraction

Item = TypeVar("Item")
Output = TypeVar("Output")

# Models of the Hugging Face hub take recordings of any length, but need a frame or two.
MIN_SECONDS = 0.1


class AudioHandler(Handler[Item, Output]):
    """preprocessing: {"sample_rate": Hz, and optionally "front_end": steps of handlers.audio.front_end.front_end}.

    A model is called with waveforms (B, samples) in [-1, 1]; one in the Hugging Face format with what its own feature
    extractor makes of them. Of a `Featured` network the part after the features runs in its fastest form.
    """

    input_type = InputType.MEDIA

    def load(self) -> None:
        super().load()
        if self.artifact.format == "onnx":
            from handlers.acceleration.onnx_model import FirstOutput

            self.model = FirstOutput(self.model)
        self.sample_rate: int = self.artifact.preprocessing["sample_rate"]
        self.front_end = tuple(self.artifact.preprocessing.get("front_end", ()))
        self.max_seconds = float(self.limits["max_seconds"])
        self.max_samples = int(self.limits["max_samples"])
        self.max_feature_values = int(self.limits["max_feature_values"])
        self.extractor: Any = None
        if self.artifact.format == "huggingface":
            from transformers import AutoFeatureExtractor

            self.extractor = pretrained.read(AutoFeatureExtractor, self.artifact.weights, "feature extractor")

        self.forward: Callable[[Tensor], Any] = self.model
        if isinstance(self.model, Featured):
            self.forward = self.in_parts(self.model)

    def in_parts(self, network: Featured) -> Callable[[Tensor], Tensor]:
        waveforms, dynamic = self.example()
        with torch.inference_mode():
            example = network.features(waveforms.to(self.device)).cpu()
        classify = self.accelerate(lambda: Classify(network).eval(), example, dynamic, self.judge)
        return lambda waveforms: classify(network.features(waveforms))[0]

    def measure(self, payload: Payload, item: Item) -> Mapping[str, float]:
        """Of the recording as it came: the front end may make it louder."""
        return of_recording(
            decode_audio(payload, self.sample_rate, self.max_seconds, self.max_samples), self.sample_rate
        )

    def example(self) -> tuple[Tensor, tuple[int, ...]]:
        """Noise (1, samples), and the dimensions in which its features may differ from those of other recordings."""
        return torch.randn(1, self.sample_rate, generator=torch.Generator().manual_seed(0)), (0, 2)

    def judge(self, found: Outputs, wanted: Outputs) -> str:
        """Whether outputs in lower precision, or of a graph, are still the model's."""
        return mismatch(found, wanted)

    def waveform(self, payload: Payload) -> Tensor:
        """The recording (samples,) as the model is to hear it; silence is not made louder."""
        decoded = decode_audio(payload, self.sample_rate, self.max_seconds, self.max_samples)
        if not self.front_end or is_silent(decoded):
            return decoded
        from handlers.audio.front_end.front_end import prepare

        return prepare(decoded, self.sample_rate, self.front_end)

    def additions(self, payload: Payload, waveform: Tensor) -> dict[str, Any]:
        """Part of an answer, the same for every task: the features asked for, and that there is only silence."""
        silent = {"silent": True} if is_silent(waveform) else {}
        return silent | self.features(payload, waveform)

    def features(self, payload: Payload, waveform: Tensor) -> dict[str, Any]:
        """{"features": …} when the request asks for some, as in features=mfcc,rms; else nothing."""
        names = payload.names("features")
        if not names:
            return {}
        from handlers.audio.features.extraction import FEATURES  # few requests ask, and a worker starts sooner

        try:
            extraction = extraction_of(tuple(names), self.sample_rate)
        except ValueError as error:
            raise InvalidInput(str(error)[:200]) from None
        frames = len(waveform) // extraction.hop + 1
        values = frames * sum(FEATURES[name] for name in extraction.features)
        if values > self.max_feature_values:
            raise TooLarge(f"features: {values} values in {frames} frames, the limit is {self.max_feature_values}")
        with torch.inference_mode():
            found = {name: value[0].numpy() for name, value in extraction(waveform[None]).items()}
        return {"features": {"hop_seconds": extraction.hop / self.sample_rate, **found}}

    def call(self, waveforms: Sequence[Tensor]) -> list[tuple[list[int], Any]]:
        """The model's output for each group of waveforms of one length, with their numbers: [(numbers, output), …].

        Padding would change what a model that looks at the whole recording says, so lengths are not mixed; and many
        windows are split into batches of the size the model was warmed up with.
        """
        by_length: dict[int, list[int]] = {}
        for number, waveform in enumerate(waveforms):
            by_length.setdefault(len(waveform), []).append(number)
        size = max(self.batch_size, 8)
        groups = [same[i : i + size] for same in by_length.values() for i in range(0, len(same), size)]
        return [(numbers, self.run([waveforms[number] for number in numbers])) for numbers in groups]

    def run(self, waveforms: Sequence[Tensor]) -> Any:
        """The model's output for waveforms of one length."""
        if self.extractor is None:
            batch = torch.stack(list(waveforms)) if len(waveforms) > 1 else waveforms[0][None]
            return self.forward(batch.to(self.device))
        return self.model(**self.extracted(waveforms).to(self.device))

    def extracted(self, waveforms: Sequence[Tensor]) -> Any:
        """The inputs of a Hugging Face model for waveforms of one length, by name."""
        arrays = [waveform.numpy() for waveform in waveforms]
        return self.extractor(arrays, sampling_rate=self.sample_rate, return_tensors="pt")


@lru_cache(maxsize=16)
def extraction_of(names: tuple[str, ...], sample_rate: int) -> Extraction:
    from handlers.audio.features.extraction import Extraction

    return Extraction(names, sample_rate)
