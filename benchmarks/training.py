"""`python -m benchmarks.training`: what the training loop costs beside the model's own arithmetic.

Both are measured in one run, in turns, so that whatever else the machine does slows both: images per second of the
bare forward and backward pass on one batch that is already there, and of the whole loop (loading, decoding, augmenting,
metrics, logging, optimizer) as `python -m train` runs it. Their ratio is the part of the time the model is busy. On a
CPU that others use as well, the ratio of the seconds that this process computed says what the loop adds; waiting for
data shows in the difference between both.
"""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import typer
from lightning.pytorch import Callback
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor

from train.core.precision import native_precision
from train.core.trainer import LIGHTNINGS_PRECISION, quiet_trainer
from train.vision.augmentation import Augmentation
from train.vision.classification.batches import Batch, ImageData
from train.vision.classification.experiment import ImageClassification
from train.vision.classification.module import ImageClassifier

CLASSES = 4
# The first steps start loaders and warm allocators up.
WARM_STEPS = 3


class Stopwatch(Callback):
    """Seconds of each training step, from the end of one to the end of the next: waiting for data included."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def on_train_batch_end(self, *rest: Any) -> None:
        self.ends.append(now())

    def seconds(self) -> list[tuple[float, float]]:
        return [tuple(step) for step in np.diff(self.ends[WARM_STEPS:], axis=0).tolist()]


def now() -> tuple[float, float]:
    """Seconds on the clock, and seconds that this process has computed."""
    synchronise()
    return time.perf_counter(), time.process_time()


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def write_photographs(root: Path, count: int, size: tuple[int, int]) -> None:
    """JPEG photographs of `size` (width, height), parts of two real ones, in CLASSES folders."""
    rng = np.random.default_rng(0)
    sources = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    for number in range(count):
        source = sources[number % 2]
        left, top = rng.uniform(0, source.width / 4), rng.uniform(0, source.height / 4)
        box = (left, top, left + source.width * 0.7, top + source.height * 0.7)
        folder = root / str(number % CLASSES)
        folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        source.resize(size, Image.Resampling.BICUBIC, box=box).save(buffer, "JPEG", quality=90)
        (folder / f"{number:05}.jpg").write_bytes(buffer.getvalue())


def bare(module: ImageClassifier, batch: Batch, steps: int, precision: str) -> list[tuple[float, float]]:
    """Seconds of forward and backward alone, each, on the clock and of this process."""
    device = next(module.parameters()).device
    images: Tensor = module.transform.normalise(batch.images.to(device)).contiguous(memory_format=torch.channels_last)
    labels = batch.labels[:, 0].to(device)
    seconds = []
    module.train()
    for _ in range(steps + WARM_STEPS):
        started = now()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            loss = torch.nn.functional.cross_entropy(module.network(images).float(), labels)
        loss.backward()
        ended = now()
        seconds.append((ended[0] - started[0], ended[1] - started[1]))
        module.zero_grad(set_to_none=True)
    return seconds[WARM_STEPS:]


def main(
    model: Annotated[str, typer.Option(help="A torchvision classifier.")] = "resnet18",
    batch_size: Annotated[int, typer.Option(help="Images in a batch.")] = 16,
    steps: Annotated[int, typer.Option(help="Timed steps of each round.")] = 10,
    rounds: Annotated[int, typer.Option(help="Turns of both.")] = 3,
    image_size: Annotated[int, typer.Option(help="Side of what the network sees.")] = 224,
    width: Annotated[int, typer.Option(help="Of the JPEG files, in pixels; 3 : 2.")] = 640,
    workers: Annotated[int | None, typer.Option(help="By default as in training.")] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="The network by torch.compile, in both, and what that gains.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="A JSON file for the figures.")] = None,
) -> None:
    """Images per second of the training loop and of the bare model, and their ratio."""
    precision = native_precision()
    with TemporaryDirectory() as temporary:
        root = Path(temporary, "images")
        write_photographs(root, max(64, (steps + WARM_STEPS + 1) * batch_size * 4 // 3), (width, width * 2 // 3))
        experiment = ImageClassification.model_validate(
            {
                "name": "cost",
                "system": "image-classification",
                "data": {"folder": str(root), "workers": workers, "check": False},
                "batch_size": batch_size,
                "model": model,
                "weights": None,
                "image_size": image_size,
            }
        )
        listed = experiment.data.listed().divided(0.1, 0.0, 0)
        transform = experiment.transform()
        found: dict[str, list[tuple[float, float]]] = {"bare": [], "loop": []}
        for _ in range(rounds):
            module = ImageClassifier(model, listed.tasks, transform.to_dict())
            if compiled:
                module.network.compile()
            augment = Augmentation().pipeline(experiment.square)
            data = ImageData(listed, experiment.data, transform, augment, batch_size, seed=0)
            stopwatch = Stopwatch()
            trainer = quiet_trainer(
                accelerator="auto",
                devices=1,
                precision=LIGHTNINGS_PRECISION[precision],
                max_steps=steps + WARM_STEPS + 1,
                limit_val_batches=0,
                benchmark=True,
                gradient_clip_val=experiment.trainer.gradient_clip,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                callbacks=[stopwatch],
            )
            trainer.fit(module, data)
            found["loop"] += stopwatch.seconds()
            module.to("cuda" if torch.cuda.is_available() else "cpu")
            batch = next(iter(data.train_dataloader()))
            found["bare"] += bare(module, batch, steps, precision)
            if compiled:
                eager = ImageClassifier(model, listed.tasks, transform.to_dict()).to(module.device)
                found.setdefault("eager", []).extend(bare(eager, batch, steps, precision))
    rates = {name: batch_size / np.median(seconds, axis=0) for name, seconds in found.items()}
    ratios = rates["loop"] / rates["bare"]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    result = {
        "model": model,
        "batch_size": batch_size,
        "jpeg_width": width,
        "device": device,
        "threads": torch.get_num_threads(),
        "workers": data.loading()["num_workers"],
        "precision": precision,
        "compiled": compiled,
        "bare_images_per_s": round(float(rates["bare"][0]), 1),
        "loop_images_per_s": round(float(rates["loop"][0]), 1),
        "ratio": round(float(ratios[0]), 3),
        "ratio_of_computed_time": round(float(ratios[1]), 3),
    }
    if compiled:
        gain = rates["bare"] / rates["eager"]
        result |= {"gain_of_compile": round(float(gain[0]), 3), "gain_in_computed_time": round(float(gain[1]), 3)}
    print(json.dumps(result, indent=2))
    if output:
        output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
