"""`python -m benchmarks.worker_parts FOLDER`: what a worker loads, part by part, in one process without a server.

It prints {"parts": [{"part", "seconds", "uss"}, …], "libraries": […]}: the seconds each took, the process's own bytes
after it, and which of LIBRARIES are loaded in the end. FOLDER: an unpacked archive, whose own copy of `handlers` is
imported, as in a worker.
"""

from __future__ import annotations

import gc
import json
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import psutil

# In the order they are loaded. A task's module brings its libraries; what only some formats of weights need comes with
# the model.
PARTS = ("Python", "torch", "TorchServe's worker", "base class", "task and its libraries", "model and warm-up")
# Of those that are looked for in the process at the end.
LIBRARIES = ("torchvision", "torchaudio", "transformers", "onnxruntime", "scipy", "sympy", "torch._dynamo")


def main() -> None:
    folder = Path(sys.argv[1])
    found: list[dict[str, Any]] = []
    process = psutil.Process()
    started = perf_counter()

    def end(part: str) -> None:
        nonlocal started
        seconds = perf_counter() - started
        gc.collect()
        found.append({"part": part, "seconds": seconds, "uss": process.memory_full_info().uss})
        started = perf_counter()

    end("Python")
    import_module("torch")
    end("torch")
    import_module("ts.model_service_worker")
    end("TorchServe's worker")
    import yaml

    sys.path.insert(0, str(folder))
    import_module("handlers.base")
    end("base class")
    configuration = yaml.safe_load((folder / "model-config.yaml").read_text(encoding="utf-8"))
    module, _, name = configuration["handler"]["class"].rpartition(".")
    handler = getattr(import_module(module), name)
    end("task and its libraries")
    properties = {"model_dir": str(folder), "gpu_id": None, "batch_size": configuration["batchSize"]}
    context = SimpleNamespace(manifest={}, system_properties=properties, model_yaml_config=configuration, metrics=None)
    handler().initialize(context)
    end("model and warm-up")
    print(json.dumps({"parts": found, "libraries": [name for name in LIBRARIES if name in sys.modules]}))


if __name__ == "__main__":
    main()
