"""`python -m benchmarks.handle ARCHIVE BATCH all|model`: a process of the in-process limit for any task.

It decodes the archive's sample, predicts and encodes with the archive's own handler, one thread, without a server;
`model` decodes once and then only predicts. It says "ready" and answers each line with a number of seconds by how many
inputs it has answered in them.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import torch
import yaml

from archiver.mar import Mar
from handlers.formats.sample import SAMPLE_TYPES
from handlers.protocol.request import parse


def load(archive: Path, folder: Path, size: int, gpu: int | None = None) -> Any:
    """The archive's handler, its model loaded for batches of `size`: with one thread on the CPU, or on a GPU with as
    many as it says."""
    with Mar(archive) as mar:
        mar.extract(folder)
    configuration = yaml.safe_load((folder / "model-config.yaml").read_text(encoding="utf-8"))
    if gpu is None:
        configuration["handler"]["threads"] = 1
    module, _, name = configuration["handler"]["class"].rpartition(".")
    properties = {"model_dir": str(folder), "gpu_id": gpu, "batch_size": size}
    context = SimpleNamespace(manifest={}, system_properties=properties, model_yaml_config=configuration, metrics=None)
    handler = getattr(import_module(module), name)()
    handler.initialize(context)
    return handler


@torch.inference_mode()
def main() -> None:
    archive, size = Path(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        handler = load(archive, Path(temporary), size)
        sample = handler.artifact.sample
        row = {"body": sample.read_bytes()}
        headers = {"content-type": SAMPLE_TYPES[sample.suffix]}
    [payload] = parse(row, headers, handler.input_type, handler.request_limits).payloads

    def answer() -> None:
        items = [handler.decode(payload) for _ in range(size)]
        for item, output in zip(items, handler.predict(items), strict=True):
            handler.encode(item, output, handler.media_types[0])

    decoded = [handler.decode(payload) for _ in range(size)]

    def predict() -> None:
        handler.predict(decoded)

    work = answer if sys.argv[3] == "all" else predict
    for _ in range(5):
        work()
    print("ready", flush=True)
    for line in sys.stdin:
        end = perf_counter() + float(line)
        done = 0
        while perf_counter() < end:
            work()
            done += size
        print(done, flush=True)


if __name__ == "__main__":
    main()
