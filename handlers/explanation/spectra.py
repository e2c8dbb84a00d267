"""Recordings by time and frequency, in a form for which a model's score has gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from handlers.audio.audio_classification import AudioClassification
from handlers.networks.featured import Featured


class Spectrum(ABC):
    """frequencies: of the bands, in Hz from low to high; None if only the network knows them. hop: seconds per frame;
    None if the frames are spread over the recording."""

    frequencies: list[float] | None = None
    hop: float | None = None

    def __init__(self, task: AudioClassification) -> None:
        self.task = task

    @abstractmethod
    def inputs(self, waveform: Tensor) -> Tensor:
        """(samples,) → (1, bands, frames), or one dimension more, over which attributions are added up."""

    @abstractmethod
    def logits(self, inputs: Tensor) -> Tensor:
        """(N, bands, frames, …) → (N, classes)."""


class OwnFeatures(Spectrum):
    """The features that a network computes itself, such as a logarithmic mel spectrogram."""

    def __init__(self, task: AudioClassification, network: Featured) -> None:
        super().__init__(task)
        self.network = network
        bands = getattr(getattr(network.features, "mel", None), "bands", None)  # filters (mels, bins)
        if isinstance(bands, Tensor):
            bins = torch.linspace(0, task.sample_rate / 2, bands.shape[1], device=bands.device)
            self.frequencies = (bands @ bins / bands.sum(dim=1).clamp_min(1e-12)).tolist()

    def inputs(self, waveform: Tensor) -> Tensor:
        features: Tensor = self.network.features(waveform[None])
        return features

    def logits(self, inputs: Tensor) -> Tensor:
        return self.network.classify(inputs).float()


class ExtractedFeatures(Spectrum):
    """The spectrogram computed by the feature extractor of a Hugging Face folder."""

    def __init__(self, task: AudioClassification, name: str, upright: bool) -> None:
        """name: of the network's input. upright: whether its shape is (bands, frames)."""
        super().__init__(task)
        self.name, self.upright = name, upright
        self.hop = getattr(task.extractor, "hop_length", task.sample_rate // 100) / task.sample_rate

    def inputs(self, waveform: Tensor) -> Tensor:
        values = extracted(self.task, waveform)[self.name].to(self.task.device)
        return values if self.upright else values.transpose(1, 2)

    def logits(self, inputs: Tensor) -> Tensor:
        values = inputs if self.upright else inputs.transpose(1, 2)
        logits: Tensor = self.task.model(**{self.name: values}).logits
        return logits.float()


class Fourier(Spectrum):
    """The short-time Fourier transform of a waveform, from which the waveform is reconstructed (a virtual inspection
    layer: Vielhaben et al. 2023). Real and imaginary parts are the last dimension."""

    def __init__(self, task: AudioClassification, name: str | None = None) -> None:
        """name: of the network's input; None for a network that takes the waveform as it is."""
        super().__init__(task)
        self.name = name
        self.size = 1 << (task.sample_rate // 40 - 1).bit_length()
        self.step = self.size // 4
        self.hop = self.step / task.sample_rate
        self.frequencies = torch.fft.rfftfreq(self.size, 1 / task.sample_rate).tolist()
        self.shape = torch.hann_window(self.size, device=task.device)
        self.length = 0

    def inputs(self, waveform: Tensor) -> Tensor:
        signal = waveform[None] if self.name is None else extracted(self.task, waveform.cpu())[self.name]
        signal = signal.to(self.task.device)
        self.length = signal.shape[-1]
        mode = "reflect" if self.length > self.size // 2 else "constant"
        spectrum = torch.stft(signal, self.size, self.step, window=self.shape, pad_mode=mode, return_complex=True)
        return torch.view_as_real(spectrum)

    def logits(self, inputs: Tensor) -> Tensor:
        values = torch.istft(
            torch.view_as_complex(inputs.contiguous()), self.size, self.step, window=self.shape, length=self.length
        )
        output: Any = self.task.model(values) if self.name is None else self.task.model(**{self.name: values})
        logits: Tensor = getattr(output, "logits", output)
        return logits.float()


def extracted(task: AudioClassification, waveform: Tensor) -> Mapping[str, Tensor]:
    inputs: Mapping[str, Tensor] = task.extractor(
        [waveform.cpu().numpy()], sampling_rate=task.sample_rate, return_tensors="pt"
    )
    return inputs


def spectrum_of(task: AudioClassification) -> Spectrum:
    """The spectrum that a task's model sees, or one from which its waveform can be reconstructed."""
    model: Any = task.model
    if isinstance(model, Featured):
        return OwnFeatures(task, model)
    if task.extractor is None:
        return Fourier(task)
    name = str(model.main_input_name)
    shape = extracted(task, torch.zeros(task.windowing.window))[name].shape
    if len(shape) == 2:
        return Fourier(task, name)
    bands = getattr(task.extractor, "num_mel_bins", None) or task.extractor.feature_size
    return ExtractedFeatures(task, name, upright=shape[1] == bands)
