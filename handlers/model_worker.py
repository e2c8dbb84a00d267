"""A model in a TorchServe worker, from its archive's settings until it is ready to answer."""

from __future__ import annotations

import gc
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import torch

from handlers.acceleration.accelerate import Acceleration
from handlers.acceleration.busy_workers import BusyWorkers
from handlers.artifact import Artifact
from handlers.loader import load_model
from handlers.memory import Memory
from handlers.protocol.limits import Limits
from handlers.protocol.payload import Payload
from handlers.torchserve.base_handler import BaseHandler, device_of
from handlers.torchserve.metrics import MetricsReporter, silence_prediction_time
from handlers.tracing import tracer_of

if TYPE_CHECKING:
    from handlers.drift.monitor import Monitor
    from handlers.tracing.tracer import Tracer


class ModelWorker(BaseHandler, ABC):
    """Sets up device, threads, artifact and model, once per worker, and describes them for the model card.

    limits, options: from the spec, with every key of the task. request_s: time limit for one request, in seconds.
    """

    def initialize(self, context: Any) -> None:
        """Load the model and warm it up; an exception makes TorchServe report the worker as failed.

        context: TorchServe's, with `manifest`, `system_properties` (model_dir, gpu_id, batch_size) and
        `model_yaml_config`. BaseHandler's own `initialize` would unpickle the weights, so it is not called.
        """
        self.context, self.manifest = context, context.manifest
        folder = Path(context.system_properties["model_dir"])
        settings: Mapping[str, Any] = context.model_yaml_config["handler"]
        self.limits: Mapping[str, Any] = settings.get("limits") or {}
        self.options: Mapping[str, Any] = settings.get("options") or {}
        self.request_s = float(settings["request_s"])
        self.profiled = bool(os.environ.get("ENABLE_TORCH_PROFILER"))  # TorchServe's own switch
        self.explained = "explain" in settings
        self.batch_size = int(context.system_properties["batch_size"])
        cores = torch.get_num_threads()  # as set by `deploy`, or torch's own count
        self.device = device_of(context)
        configured = settings.get("threads", "auto")
        threads = 1 if configured == "auto" else int(configured)
        if threads:
            torch.set_num_threads(threads)
        # A worker on a CPU computes on its cores; a worker on a GPU needs them only to decode.
        decoders = cores if configured == "auto" and self.device.type == "cuda" else threads
        self.artifact = Artifact.read(folder / "artifact")
        if type(self).__module__.partition(".")[0] == "handlers":  # a user's own class has keys of its own
            self.artifact.check_preprocessing()
        self.labels = self.artifact.labels
        self.card = orjson.loads((folder / "card.json").read_bytes())
        self.pool = ThreadPoolExecutor(max_workers=decoders, thread_name_prefix="decode") if decoders > 1 else None
        export = settings.get("export")
        graph, written = self.artifact.graph, Path(export) if export else None
        worker = context.metrics is not None  # outside TorchServe there is one worker, and nobody reads metrics
        self.busy_workers = BusyWorkers() if worker else None
        others_idle = self.busy_workers.others_idle if self.busy_workers else lambda: False
        as_is = self.artifact.format == "onnx"
        self.accelerate = Acceleration(self.device, threads, graph, written, self.batch_size, cores, others_idle, as_is)
        self.load()
        self.request_limits = Limits(
            int(self.limits["max_bytes"]), int(self.limits["max_instances"]), self.max_json_values()
        )
        self.warm_up()
        self.memory = Memory()
        self.metrics: MetricsReporter | None = None
        self.drift: Monitor | None = None
        self.tracer: Tracer | None = None
        if worker:
            silence_prediction_time(context.metrics)
            self.tracer = tracer_of(context.model_name, self.card["version"])
            dropped = self.tracer.take_dropped if self.tracer else None
            self.metrics = MetricsReporter(context.model_name, self.card["version"], dropped)
            if settings.get("drift") or self.card.get("drift"):
                from handlers.drift.monitor import monitor_of  # a worker starts sooner without it

                self.drift = monitor_of(settings.get("drift"), self.card, self.metrics, self.measure)
            self.metrics.start()
            # Objects loaded by now stay: rescanning them would take most of the time of reading a JSON body.
            gc.collect()
            gc.freeze()
        self.initialized = True

    def load(self) -> None:
        """Load the model into `self.model`. A task may load more here, or make its model faster:
        `self.forward = self.accelerate(build, example)`."""
        self.model = load_model(self.artifact, self.device)

    def max_json_values(self) -> int:
        """The most values a JSON body may hold: from the spec's limits, or enough for its instances' parameters."""
        return int(self.limits.get("max_values", 64 * (int(self.limits["max_instances"]) + 1)))

    @abstractmethod
    def measure(self, payload: Payload, item: Any) -> Mapping[str, float]:
        """Statistics of one input as sent, which change when its source does."""

    @abstractmethod
    def warm_up(self) -> None:
        """Answer the artifact's sample before the first request; an exception makes the worker fail."""

    def describe_handle(self) -> bytes:
        """The model card, including where and how this worker runs."""
        runtime = {"device": str(self.device), "threads": torch.get_num_threads(), "torch": torch.__version__}
        return orjson.dumps({**self.card, "runtime": runtime | self.accelerate.describe() | self.describe_runtime()})

    def describe_runtime(self) -> dict[str, str]:
        """How the parts of a task other than its model run, for the model card."""
        return {}
