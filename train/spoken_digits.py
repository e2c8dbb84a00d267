"""`system: spoken-digits`: keyword spotting of zero to nine, trained on synthesised voices under noise."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib.pyplot as plt
import soundfile
import torch
from lightning.pytorch import LightningModule, seed_everything
from sklearn.metrics import ConfusionMatrixDisplay
from torch import Generator, Tensor
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader

from handlers.networks.keyword_spotting import KeywordSpotting
from train.artifact import Artifact
from train.experiment import Experiment
from train.speech_synthesis import Voice, sample_rate, speak
from train.spoken_words import NoisyRecordings, Utterance, place, record, speakers
from train.trainer import trainer

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
RATE = 16_000
SNR_BANDS = ((20, 30), (10, 20), (5, 10), (0, 5))
CHUNK = 250


class Spotter(LightningModule):
    def __init__(self, network: KeywordSpotting, learning_rate: float, steps: int) -> None:
        super().__init__()
        self.network = network
        self.learning_rate = learning_rate
        self.steps = steps

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        loss = F.cross_entropy(self.network(batch[0]), batch[1], label_smoothing=0.05)
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = AdamW(self.parameters(), weight_decay=0.01)
        schedule = OneCycleLR(optimizer, self.learning_rate, total_steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class SpokenDigits(Experiment):
    """takes: of each word by each voice, in other accents, tempos and pitches. seconds: the model's window."""

    takes: int = 4
    held_out_takes: int = 3
    seconds: float = 1.0
    steps: int = 450
    batch_size: int = 64
    learning_rate: float = 4e-3

    def run(self, folder: Path) -> None:
        started = time.monotonic()
        seed_everything(self.seed, workers=True, verbose=False)
        samples = round(self.seconds * RATE)
        training = record(DIGITS, self.takes, False, RATE, self.seed)
        held_out = record(DIGITS, self.held_out_takes, True, RATE, 1)
        network = KeywordSpotting(len(DIGITS), RATE)
        recordings = NoisyRecordings(training, samples, RATE, self.steps, self.batch_size, self.seed)
        print(f"{self.name}: training on {self.steps * self.batch_size} noisy recordings of {len(training)} utterances")
        loader = DataLoader(recordings, batch_size=None, num_workers=1, prefetch_factor=4)
        trainer(max_steps=self.steps).fit(Spotter(network, self.learning_rate, self.steps), loader)
        network.eval().cpu()
        metrics, truth, found = test(network, held_out, samples)
        metrics |= {"voices held out": len(speakers(True)), "voices in training": len(speakers(False))}
        print(f"{self.name}: accuracy {metrics['accuracy']} on unheard voices; {metrics['accuracy by SNR']}")
        with TemporaryDirectory() as temporary:
            weights, sample = Path(temporary, "weights.pt2"), Path(temporary, "sample.wav")
            batch = torch.export.Dim("batch", min=1, max=1024)
            program = torch.export.export(network, (torch.randn(2, samples),), dynamic_shapes=({0: batch},))
            torch.export.save(program, weights)
            voice = Voice(f"en-us+{speakers(True)[0]}", rate=160)
            soundfile.write(sample, 0.7 * speak("seven", voice), sample_rate(), subtype="PCM_16")
            confusion = Path(temporary, "confusion.png")
            figure, axes = plt.subplots(figsize=(7, 6))
            ConfusionMatrixDisplay.from_predictions(truth, found, display_labels=DIGITS, ax=axes, xticks_rotation=45)
            figure.tight_layout()
            figure.savefig(confusion, dpi=110)
            plt.close(figure)
            Artifact(
                name=self.name,
                task="audio-classification",
                format="torch-export",
                labels=DIGITS,
                preprocessing={"sample_rate": RATE, "seconds": self.seconds},
                metrics=metrics,
                training={
                    "data": "words synthesised by eSpeak NG; rooms, microphones, telephones and noise simulated",
                    "held out": "voices never heard in training, under the same kinds of noise",
                    **self.model_dump(exclude={"name", "system"}),
                    "duration": round(time.monotonic() - started, 1),
                },
            ).write(folder, weights, sample, [confusion])


@torch.inference_mode()
def test(
    network: KeywordSpotting, held_out: list[Utterance], samples: int
) -> tuple[dict[str, Any], list[int], list[int]]:
    """Accuracy over all bands, clean, by band and by voice; then the true and the found labels over all bands."""
    random = Generator().manual_seed(99)
    noisy = NoisyRecordings(held_out, samples, RATE, 0, 0, 99)
    clean = torch.stack([place(item.waveform, samples, random) for item in held_out])
    labels = torch.tensor([item.label for item in held_out])
    by_band: dict[str, float] = {}
    hits, truth, found = [], [], []
    for low, high in SNR_BANDS:
        snr = low + (high - low) * torch.rand(len(clean), generator=random)
        predicted = classify(
            network,
            torch.cat(
                [
                    noisy.degrade(part, ratios, random)
                    for part, ratios in zip(clean.split(CHUNK), snr.split(CHUNK), strict=True)
                ]
            ),
        )
        by_band[f"{low} to {high} dB"] = round((predicted == labels).float().mean().item(), 4)
        hits.append(predicted == labels)
        truth += labels.tolist()
        found += predicted.tolist()
    right = torch.stack(hits).float().mean(dim=0)
    voices = sorted({item.voice for item in held_out})
    by_voice = {v: right[[i for i, item in enumerate(held_out) if item.voice == v]].mean().item() for v in voices}
    metrics = {
        "accuracy": round(right.mean().item(), 4),
        "accuracy clean": round((classify(network, clean) == labels).float().mean().item(), 4),
        "accuracy by SNR": by_band,
        "accuracy by voice": {voice: round(value, 3) for voice, value in by_voice.items()},
        "recordings": len(truth),
    }
    return metrics, truth, found


def classify(network: KeywordSpotting, waveforms: Tensor) -> Tensor:
    return torch.cat([network(part).argmax(dim=1) for part in waveforms.split(CHUNK)])
