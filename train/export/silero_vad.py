"""`system: silero-vad`: Silero's voice activity detector from the package silero-vad, as an artifact."""

from __future__ import annotations

import time
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import soundfile
import torch

from train.audio.speech_synthesis import Voice, sample_rate, speak
from train.core.artifact import Artifact
from train.core.config import ExperimentError
from train.core.experiment import Experiment
from train.export.speech_activity import FRAME, RATE, SpeechProbability


class SileroVAD(Experiment):
    """sample: a text, which is spoken for the warm-up and the archive's verification."""

    sample: str = "Good morning."

    def run(self, folder: Path) -> None:
        started = time.monotonic()
        if self.stored_weights:
            raise ExperimentError("stored_weights: not available, because Silero publishes a complete program")
        try:
            from silero_vad import load_silero_vad
        except ModuleNotFoundError:
            raise ExperimentError("the package silero-vad is not installed: pip install silero-vad") from None
        print(f"{self.name}: silero-vad {version('silero-vad')}")
        network = torch.jit.script(SpeechProbability(load_silero_vad()))
        with TemporaryDirectory() as temporary:
            weights, sample = Path(temporary, "weights.pt"), Path(temporary, "sample.wav")
            network.save(weights)
            soundfile.write(sample, speak(self.sample, Voice("en-us")), sample_rate(), subtype="PCM_16")
            Artifact(
                name=self.name,
                experiment=self,
                task="voice-activity",
                format="torchscript",
                preprocessing={"sample_rate": RATE, "frame": FRAME},
                training={
                    "source": f"silero-vad {version('silero-vad')}",
                    "seconds": round(time.monotonic() - started, 1),
                },
            ).write(folder, weights, sample)
