"""Archives as TorchServe's own archiver makes them: one of each of its handlers, and one with a user's BaseHandler."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

ARCHIVER = Path(sys.executable).with_name("torch-model-archiver")
COLOURS = ["red", "green", "blue", "cyan", "magenta", "yellow", "black", "white", "grey", "brown"]
DETECTOR = '''
import torch
from torch import nn


class Detector(nn.Module):
    """Finds one object of the first class that covers the upper left quarter of each image."""

    def __init__(self):
        super().__init__()
        self.score = nn.Parameter(torch.tensor(0.9))

    def forward(self, images):
        box = torch.tensor([[0.0, 0.0, images.shape[3] / 2, images.shape[2] / 2]])
        return [{"boxes": box, "labels": torch.tensor([1]), "scores": self.score[None]} for _ in images]
'''
DOUBLER = '''
from ts.torch_handler.base_handler import BaseHandler


class Doubler(BaseHandler):
    """Doubles the numbers of a JSON body."""

    def initialize(self, context):
        self.context = context
        self.initialized = True

    def preprocess(self, data):
        return [row["body"]["numbers"] for row in data]

    def inference(self, data):
        return [[2 * number for number in numbers] for numbers in data]

    def postprocess(self, data):
        return [{"doubled": numbers} for numbers in data]
'''


class Colours(nn.Module):
    """The mean of each channel decides among the first three of ten classes."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(images.mean(dim=(2, 3)), (0, 7), value=-10.0)


class Brightest(nn.Module):
    """Each pixel's brightest channel."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": images}


class Words(nn.Module):
    """Two classes by the sum of the embedded words."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag.from_pretrained(torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]]), mode="sum")

    def forward(self, text: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        return self.embedding(text, offsets)


def pack(store: Path, name: str, handler: str, options: Sequence[str]) -> Path:
    store.mkdir(exist_ok=True)
    where = ["--model-name", name, "--version", "2.5", "--export-path", str(store)]
    subprocess.run([str(ARCHIVER), *where, "--handler", handler, *options], check=True, capture_output=True)
    return store / f"{name}.mar"


def scripted(model: nn.Module, path: Path) -> str:
    torch.jit.script(model).save(str(path))
    return str(path)


def labels(path: Path, names: Sequence[str]) -> str:
    path.write_text(json.dumps({str(index): name for index, name in enumerate(names)}))
    return str(path)


def stock_archives(folder: Path, store: Path) -> dict[str, Path]:
    """Archives in `store` by name; folder: for what they are made of."""
    (folder / "model.py").write_text(DETECTOR)
    torch.save({"score": torch.tensor(0.9)}, folder / "detector.pth")
    (folder / "doubler.py").write_text(DOUBLER)
    (folder / "own.yaml").write_text("minWorkers: 1\nmaxWorkers: 1\nbatchSize: 2\nmaxBatchDelay: 20\n")
    for name in ("colours", "objects", "words"):
        (folder / name).mkdir()
    vocabulary = folder / "words" / "source_vocab.pt"
    torch.save({"goal": 1, "rain": 2}, vocabulary)
    colours = labels(folder / "colours" / "index_to_name.json", COLOURS)
    objects = labels(folder / "objects" / "index_to_name.json", ["nothing", "cat"])
    topics = labels(folder / "words" / "index_to_name.json", ["sport", "weather"])
    eager = ["--model-file", str(folder / "model.py"), "--serialized-file", str(folder / "detector.pth")]
    options: dict[str, tuple[str, list[str]]] = {
        "colours": (
            "image_classifier",
            ["--serialized-file", scripted(Colours(), folder / "colours.pt"), "--extra-files", colours],
        ),
        "objects": ("object_detector", [*eager, "--extra-files", objects]),
        "pixels": ("image_segmenter", ["--serialized-file", scripted(Brightest(), folder / "pixels.pt")]),
        "topics": (
            "text_classifier",
            ["--serialized-file", scripted(Words(), folder / "words.pt"), "--extra-files", f"{vocabulary},{topics}"],
        ),
        "doubler": (str(folder / "doubler.py"), ["--config-file", str(folder / "own.yaml")]),
    }
    return {name: pack(store, name, handler, more) for name, (handler, more) in options.items()}
