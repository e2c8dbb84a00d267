"""A small project of artifact, spec and handlers, all of which can be broken on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

LABELS = ["dark", "bright", "red"]
PAYLOAD = bytes(range(1, 200))  # of a tensor that no network has

ENTRY = """
from importlib import import_module


class Entry:
    def initialize(self, context):
        module, _, name = context.model_yaml_config["handler"]["class"].rpartition(".")
        self.handler = getattr(import_module(module), name)(context)

    def handle(self, data, context):
        return self.handler.handle(data, context)
"""

HANDLER = '''
import json
from pathlib import Path

PROBABILITIES = [0.5, 0.3, 0.2]


class ImageClassification:
    """Answers every image alike; the weights file names how many classes it knows."""

    def __init__(self, context):
        folder = Path(context.system_properties["model_dir"])
        self.card = json.loads((folder / "card.json").read_text())
        self.labels = json.loads((folder / "artifact" / "artifact.json").read_text())["labels"]

    def handle(self, rows, context):
        if context.get_request_header(0, "describe") == "True":
            return [json.dumps(self.card).encode()]
        return [self.answer(row, index, context) for index, row in enumerate(rows)]

    def answer(self, row, index, context):
        context.set_response_content_type(index, "application/json")
        if not row["body"]:
            context.set_response_status(400, "Bad Request", index)
            return json.dumps({"code": 400, "type": "MalformedInput", "message": "the input is empty"}).encode()
        found = zip(self.labels, PROBABILITIES)
        return json.dumps(
            {"predictions": [{"label": l, "probability": p, "index": i} for i, (l, p) in enumerate(found)]}
        ).encode()
'''


class SampleProject:
    """A project in `root`: artifacts/model, specs/model.yaml, handlers/ and a store."""

    def __init__(self, root: Path) -> None:
        self.artifacts, self.handlers, self.store = root / "artifacts", root / "handlers", root / "store"
        self.spec_file = root / "specs" / "model.yaml"
        self.artifact = self.artifacts / "model"
        for folder in (self.artifact, self.handlers / "__pycache__", self.handlers / "tests", self.spec_file.parent):
            folder.mkdir(parents=True)
        header = json.dumps({"weight": {"dtype": "U8", "shape": [len(PAYLOAD)], "data_offsets": [0, len(PAYLOAD)]}})
        length = len(header).to_bytes(8, "little")
        (self.artifact / "weights.safetensors").write_bytes(length + header.encode() + PAYLOAD)
        (self.artifact / "sample.png").write_bytes(b"\x89PNG\r\n")
        (self.artifact / "extras").mkdir()
        (self.artifact / "extras" / "plot.png").write_bytes(b"for people")
        self.describe()
        self.spec()
        (self.handlers / "__init__.py").write_text("")
        (self.handlers / "__pycache__" / "entry.cpython-311.pyc").write_bytes(b"cache")
        (self.handlers / "tests" / "test_entry.py").write_text("")
        self.handler(HANDLER)

    def spec(self, **differences: Any) -> Path:
        """By default without a graph: this handler writes none, and asking it costs seconds."""
        self.spec_file.write_text(yaml.safe_dump({"backend": "torch", **differences}))
        return self.spec_file

    def describe(self, **differences: Any) -> None:
        values = {
            "schema": 1,
            "name": "model",
            "task": "image-classification",
            "format": "safetensors",
            "weights": "weights.safetensors",
            "architecture": {"factory": "torchvision.models.resnet18", "arguments": {"num_classes": 3}},
            "labels": LABELS,
            "preprocessing": {"resize": 32, "crop": None},
            "sample": "sample.png",
            "metrics": {"top1": 0.75},
            "training": {"seed": 0},
            "versions": {"torch": "2.11.0"},
        }
        (self.artifact / "artifact.json").write_text(json.dumps({**values, **differences}))

    def handler(self, source: str) -> None:
        (self.handlers / "entry.py").write_text(ENTRY)
        (self.handlers / "vision").mkdir(exist_ok=True)
        (self.handlers / "vision" / "image_classification.py").write_text(source)
