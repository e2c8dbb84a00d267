"""`python -m benchmarks.bare_start FOLDER BATCH`: an unpacked archive's model in plain Python, without our handlers.

It imports torch and what the model needs, loads the weights or the graph, answers batches of the sizes that a worker
warms up with, says "ready", and then prints {"cpu": seconds, "uss": bytes}. FOLDER: the artifact.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

IMAGES = ("image-classification", "object-detection", "semantic-segmentation")
TOKENS = 16
# Their graph is a part of the model: a detector's backbone, what comes after the features of a recording.
IN_PARTS = ("object-detection", "audio-classification")


def program(folder: Path, description: dict[str, Any]) -> Callable[[int], object]:
    """Loads the model and returns what answers a batch of the given size."""
    import torch

    torch.set_num_threads(1)
    if description["task"] in IMAGES:
        import torchvision.transforms.v2  # noqa: F401 - an image is decoded and resized with it
    if description["task"] == "audio-classification":
        import soundfile  # noqa: F401 - a recording is decoded with it
    if description["task"] == "text-classification":
        from transformers import AutoTokenizer

        AutoTokenizer.from_pretrained(folder / description["weights"], local_files_only=True)
    if (folder / "graph.onnx").is_file() and description["task"] not in IN_PARTS:
        return graph(folder / "graph.onnx")
    weights, preprocessing = folder / description["weights"], description["preprocessing"]
    match description["format"], description["task"]:
        case "torch-export", "policy":
            shape = preprocessing["observation"]["shape"]
            module = torch.export.load(weights).module()
            return lambda size: module(torch.zeros(size, *shape))
        case "safetensors", "audio-classification":
            samples = int(preprocessing["sample_rate"] * preprocessing["seconds"])
            network = network_of(weights, description["architecture"])
            return lambda size: network(torch.zeros(size, samples))
        case "safetensors", "object-detection":
            network = network_of(weights, description["architecture"])
            return lambda size: network([torch.zeros(3, 224, 224)] * size)
        case "huggingface", "text-classification":
            return text(weights, (folder / description["sample"]).read_text(encoding="utf-8"))
        case format_, task:
            raise SystemExit(f"{task} in the format {format_} has no plain program here")


def graph(path: Path) -> Callable[[int], object]:
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    [given] = session.get_inputs()
    type_ = {"tensor(uint8)": np.uint8, "tensor(int64)": np.int64, "tensor(float)": np.float32}[given.type]
    shape = [TOKENS if isinstance(length, str) else length for length in given.shape[1:]]
    return lambda size: session.run(None, {given.name: np.zeros((size, *shape), type_)})


def network_of(weights: Path, architecture: dict[str, Any]) -> Callable[..., object]:
    from safetensors.torch import load_file

    module, _, name = architecture["factory"].rpartition(".")
    network: nn.Module = getattr(import_module(module), name)(**architecture["arguments"])
    network.load_state_dict(load_file(weights))
    return network.eval()


def text(weights: Path, sample: str) -> Callable[[int], object]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    import handlers.networks.mean_pooling  # noqa: F401 - the demo's own architecture

    tokenizer = AutoTokenizer.from_pretrained(weights, local_files_only=True)
    model = AutoModelForSequenceClassification.from_pretrained(weights, local_files_only=True).eval()
    return lambda size: model(**tokenizer([sample] * size, return_tensors="pt"))


def main() -> None:
    folder, batch = Path(sys.argv[1]), int(sys.argv[2])
    description = json.loads((folder / "artifact.json").read_text(encoding="utf-8"))
    answer = program(folder, description)
    import torch

    with torch.inference_mode():
        for size in sorted({1, 2, batch}):
            answer(size)
    print("ready", flush=True)
    cpu = time.process_time()
    import psutil

    memory = psutil.Process().memory_full_info()
    print(json.dumps({"cpu": cpu, "uss": memory.uss}), flush=True)


if __name__ == "__main__":
    main()
