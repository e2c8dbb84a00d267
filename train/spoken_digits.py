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
from torchaudio.transforms import SpecAugment

from handlers.networks.keyword_spotting import KeywordSpotting
from handlers.networks.weights import load_weights
from train.artifact import Artifact
from train.audio_augmentation.chance import uniform
from train.audio_augmentation.telephone import telephone
from train.experiment import Experiment
from train.speech_synthesis import Voice, sample_rate, speak
from train.spoken_words import NoisyRecordings, Utterance, place, record, speakers
from train.stored_weights import round_weights
from train.trainer import trainer

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
RATE = 16_000
SNR_BANDS = ((20, 30), (10, 20), (5, 10), (0, 5))
CHUNK = 250
# Of rooms and noise that no training has heard.
TEST_SEED = 99


class Spotter(LightningModule):
    def __init__(self, network: KeywordSpotting, learning_rate: float, steps: int) -> None:
        super().__init__()
        self.network = network
        self.learning_rate = learning_rate
        self.steps = steps
        # Park et al. 2019; 0 is the features' mean.
        self.mask = SpecAugment(1, 10, 1, 5, p=0.2, zero_masking=True)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        features = self.mask(self.network.features(batch[0]))
        loss = F.cross_entropy(self.network.classify(features), batch[1], label_smoothing=0.05)
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = AdamW(self.parameters(), weight_decay=0.01, fused=True)
        schedule = OneCycleLR(optimizer, self.learning_rate, total_steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class SpokenDigits(Experiment):
    """takes: of each word by each voice, in other accents, tempos and pitches. seconds: the model's window."""

    takes: int = 4
    held_out_takes: int = 3
    seconds: float = 1.0
    steps: int = 900
    batch_size: int = 64
    learning_rate: float = 4e-3

    def run(self, folder: Path) -> None:
        started = time.monotonic()
        seed_everything(self.seed, workers=True, verbose=False)
        samples = round(self.seconds * RATE)
        training = record(DIGITS, self.takes, False, RATE, self.seed)
        network = KeywordSpotting(len(DIGITS), RATE)
        recordings = NoisyRecordings(training, samples, RATE, self.steps, self.batch_size, self.seed)
        print(f"{self.name}: training on {self.steps * self.batch_size} noisy recordings of {len(training)} utterances")
        loader = DataLoader(recordings, batch_size=None, num_workers=1, prefetch_factor=4)
        trainer(max_steps=self.steps).fit(Spotter(network, self.learning_rate, self.steps), loader)
        round_weights(network, self.stored_weights)
        metrics, truth, found = self.measure(network.cpu())
        with TemporaryDirectory() as temporary:
            sample = Path(temporary, "sample.wav")
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
                experiment=self,
                task="audio-classification",
                format="safetensors",
                labels=DIGITS,
                architecture={
                    "factory": "handlers.networks.keyword_spotting.KeywordSpotting",
                    "arguments": {"classes": len(DIGITS), "sample_rate": RATE},
                },
                preprocessing={"sample_rate": RATE, "seconds": self.seconds},
                metrics=metrics,
                training={
                    "data": "words synthesised by eSpeak NG, their speed and pitch changed; simulated rooms, "
                    "microphones, telephones and noise",
                    "held out": "voices and rooms never heard in training, under the same kinds of noise",
                    **self.model_dump(exclude={"name", "system"}),
                    "duration": round(time.monotonic() - started, 1),
                },
            ).write(folder, network.state_dict(), sample, [confusion])

    def evaluate(self, folder: Path) -> dict[str, Any]:
        network = KeywordSpotting(len(DIGITS), RATE)
        load_weights(network, folder / "weights.safetensors")
        return self.measure(network)[0]

    def measure(self, network: KeywordSpotting) -> tuple[dict[str, Any], list[int], list[int]]:
        """The metrics on voices that no training has heard; the true and the found labels."""
        held_out = record(DIGITS, self.held_out_takes, True, RATE, 1)
        metrics, truth, found = test(network.eval(), held_out, round(self.seconds * RATE))
        metrics |= {"voices held out": len(speakers(True)), "voices in training": len(speakers(False))}
        print(f"{self.name}: accuracy {metrics['accuracy']} on unheard voices; {metrics['accuracy by SNR']}")
        return metrics, truth, found


@torch.inference_mode()
def test(
    network: KeywordSpotting, held_out: list[Utterance], samples: int
) -> tuple[dict[str, Any], list[int], list[int]]:
    """Accuracy over all bands, by band, by voice, and of clean words as they are, in rooms and over a telephone; then
    the true and the found labels over all bands."""
    random = Generator().manual_seed(TEST_SEED)
    noisy = NoisyRecordings(held_out, samples, RATE, 0, 0, TEST_SEED)
    clean = torch.stack([place(item.waveform, samples, random) for item in held_out])
    labels = torch.tensor([item.label for item in held_out])

    def right(waveforms: Tensor) -> Tensor:
        return classify(network, waveforms) == labels

    by_band: dict[str, float] = {}
    hits, found = [], []
    for low, high in SNR_BANDS:
        snr = uniform(len(clean), low, high, random)
        parts = zip(clean.split(CHUNK), snr.split(CHUNK), strict=True)
        heard = torch.cat([noisy.degrade(part, ratios, random) for part, ratios in parts])
        predicted = classify(network, heard)
        hits.append(predicted == labels)
        by_band[f"{low} to {high} dB"] = share(hits[-1])
        found += predicted.tolist()
    together = torch.stack(hits).float().mean(dim=0)
    voices = sorted({item.voice for item in held_out})
    by_voice = {v: share(together[[i for i, item in enumerate(held_out) if item.voice == v]]) for v in voices}
    metrics = {
        "accuracy": share(together),
        "accuracy clean": share(right(clean)),
        "accuracy in rooms": share(right(noisy.in_a_room(clean, random))),
        "accuracy by telephone": share(right(telephone(clean, RATE))),
        "accuracy by SNR": by_band,
        "accuracy by voice": by_voice,
        "recordings": len(found),
    }
    return metrics, labels.tolist() * len(SNR_BANDS), found


def share(right: Tensor) -> float:
    return round(right.float().mean().item(), 4)


def classify(network: KeywordSpotting, waveforms: Tensor) -> Tensor:
    return torch.cat([network(part).argmax(dim=1) for part in waveforms.split(CHUNK)])
