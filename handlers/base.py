"""The order of things, the same for every task; a task fills in decode, predict and encode."""

from __future__ import annotations

import gc
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Generic
from warnings import warn

import orjson
import torch

from handlers.acceleration.accelerate import Acceleration
from handlers.acceleration.busy_workers import BusyWorkers
from handlers.artifact import SAMPLE_TYPES, Artifact
from handlers.batching.isolation import run_batch
from handlers.batching.request_state import Batch, Item, Output, RequestState
from handlers.errors import InternalError, MalformedInput, NotOffered, RequestError, TooSlow
from handlers.formats.weights import check
from handlers.loader import load_model
from handlers.memory import Memory
from handlers.protocol.kserve import wrapped
from handlers.protocol.limits import Limits
from handlers.protocol.media_type import negotiate
from handlers.protocol.payload import InputType, Payload, Request
from handlers.protocol.request import parse
from handlers.protocol.response import JSON, Response, error_response, to_json
from handlers.rare_tracebacks import RareTracebacks
from handlers.torchserve.base_handler import BaseHandler, device_of, timed
from handlers.torchserve.metrics import MetricsReporter, StageTimer, silence_prediction_time
from handlers.torchserve.progress import DECODING, ENCODING, PROGRESS, SENT
from handlers.torchserve.response_stream import ResponseStream

logger = logging.getLogger(__name__)
logger.addFilter(RareTracebacks())


class Handler(BaseHandler, ABC, Generic[Item, Output]):
    """Serves one model of one task inside a TorchServe worker.

    A subclass names its `input_type` and defines three verbs: `decode` turns a payload into an item and raises a
    RequestError for a bad one; `predict` turns items, of whatever sizes, into as many outputs, in order; `encode`
    turns an output into an answer. TorchServe's own verbs call them: `preprocess` decodes each request of a batch,
    `inference` predicts all their items together, and `postprocess` encodes each output, so that what is wrong with one
    request stays with it.
    """

    input_type: ClassVar[InputType]
    # What `encode` can answer with, the default first; a sender who takes none of them gets 406 before any prediction.
    media_types: ClassVar[tuple[str, ...]] = (JSON,)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in cls.__dict__:
            warn(f"{cls.__name__}.kind is now input_type", FutureWarning, stacklevel=2)
            cls.input_type = cls.__dict__["kind"]

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
        self.explained = "explain" in settings
        self.batch_size = int(context.system_properties["batch_size"])
        cores = torch.get_num_threads()  # as `deploy` has told it, or torch's own count
        self.device = device_of(context)
        asked = settings.get("threads", "auto")
        threads = 1 if asked == "auto" else int(asked)
        if threads:
            torch.set_num_threads(threads)
        # A worker on a CPU computes on the cores; those of a GPU's worker have nothing to do but to decode.
        decoders = cores if asked == "auto" and self.device.type == "cuda" else threads
        self.artifact = Artifact.read(folder / "artifact")
        check(self.artifact.format, self.artifact.weights, self.artifact.task)
        self.labels = self.artifact.labels
        self.card = orjson.loads((folder / "card.json").read_bytes())
        self.pool = ThreadPoolExecutor(max_workers=decoders, thread_name_prefix="decode") if decoders > 1 else None
        export = settings.get("export")
        graph, written = self.artifact.graph, Path(export) if export else None
        worker = context.metrics is not None  # outside TorchServe there are no other workers, and nobody reads metrics
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
        if worker:
            silence_prediction_time(context.metrics)
            self.metrics = MetricsReporter(context.model_name, self.card["version"])
            self.metrics.start()
            # What is loaded now stays: passing over it again and again would take most of the time to read a JSON body.
            gc.collect()
            gc.freeze()
        self.initialized = True

    def load(self) -> None:
        """Load the model into `self.model`; a task adds what else it needs, or makes its model faster:
        `self.forward = self.accelerate(build, example)`."""
        self.model = load_model(self.artifact, self.device)

    def max_json_values(self) -> int:
        """How many values a JSON body may hold: by the spec's limits, or as many as its instances' parameters are."""
        return int(self.limits.get("max_values", 64 * (int(self.limits["max_instances"]) + 1)))

    @abstractmethod
    def decode(self, payload: Payload) -> Item:
        """One payload to one item; RequestError when it cannot be."""

    @abstractmethod
    def predict(self, items: Sequence[Item]) -> Sequence[Output]:
        """As many outputs as items, in their order; each the same as if the item were alone."""

    @abstractmethod
    def encode(self, item: Item, output: Output, media_type: str) -> Response:
        """One output as an answer; media_type: the one of `media_types` that the sender ranks highest."""

    def explain(self, item: Item) -> Response:
        """Why the model answers an item as it does; a task that can say overrides it."""
        raise NotOffered("this model offers no explanations")

    def handle(self, data: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch: as many bodies as requests; status and content type are set on the context, item by item."""
        self.context = context
        with self.busy_workers or nullcontext():
            if os.environ.get("ENABLE_TORCH_PROFILER"):
                bodies, _ = self._infer_with_profiler(data)
                return bodies
            bodies = self.postprocess(self.inference(self.preprocess(data)))
        self.memory.give_back()
        PROGRESS.answering()
        return bodies

    @timed
    def preprocess(self, data: Sequence[Mapping[str, Any]]) -> Batch[Item, Output]:
        """Parse and decode each request of the batch."""
        stages = StageTimer()
        headers = [self.context.get_all_request_header(index) for index in range(len(data))]
        streams = [ResponseStream(self.context, i, header, data[i]) for i, header in enumerate(headers)]
        states = list((self.pool.map if self.pool else map)(self.decode_request, data, headers, streams))
        stages.end("DecodeTime")
        return Batch(states, streams, stages)

    @timed
    def inference(self, data: Batch[Item, Output]) -> Batch[Item, Output]:
        """Predict the items of all requests together."""
        asked = [index for index, state in enumerate(data.states) if state.to_predict]
        for group in PROGRESS.groups(asked):
            states = [data.states[index] for index in group]
            PROGRESS.predicting(group)
            with torch.inference_mode():
                outputs = iter(run_batch(self.predict, [item for state in states for item in state.to_predict]))
            PROGRESS.predicted(group)
            for state in states:
                state.outputs = [next(outputs) for _ in state.to_predict]
        data.stages.end("InferenceTime")
        return data

    @timed
    def postprocess(self, data: Batch[Item, Output]) -> list[bytes]:
        """Encode the outputs of each request as its answer."""
        answers, slots = [], PROGRESS.slots
        for index, state in enumerate(data.states):
            slots[index] |= ENCODING
            answers.append(self.encode_response(state))
            slots[index] &= SENT
        data.stages.end("EncodeTime")
        if self.metrics is not None:
            predicted = [answer for state, answer in zip(data.states, answers, strict=True) if not state.describe]
            if predicted:
                self.metrics.add(data.stages.seconds, predicted)
        for index, answer in enumerate(answers):
            data.streams[index].end(answer)
        return [answer.body for answer in answers]

    def attach_stream(self, request: Request, items: Sequence[Item], stream: ResponseStream) -> None:
        """For a task that sends its answers piece by piece: gives the items of one request their way out."""

    def decode_request(
        self, row: Mapping[str, Any], headers: Mapping[str, Any], stream: ResponseStream
    ) -> RequestState[Item, Output]:
        """Parse and decode one request; what is wrong with it stays with it."""
        state: RequestState[Item, Output] = RequestState.start(row, headers)
        state.error = PROGRESS.verdict(stream.index)
        if state.describe or state.error or (state.explain and self.explained):
            return state
        PROGRESS.slots[stream.index] |= DECODING
        try:
            state.request = parse(row, headers, self.input_type, self.request_limits)
            state.items = self.decode_payloads(state.request)
            if not state.explain:
                self.attach_stream(state.request, state.items, stream)
                accept = state.request.accept if state.request.dialect == "plain" else ""
                state.media_type = negotiate(accept, self.offers(state.items))
        except RequestError as error:
            state.error = error.detached()
        except RecursionError:
            state.error = MalformedInput("the input is nested too deeply")
        except Exception:
            logger.exception("decoding of request %s failed in an unforeseen way", state.id)
            state.error = InternalError("the input could not be read; the cause is in the server's log")
        PROGRESS.slots[stream.index] &= SENT
        return state

    def offers(self, items: Sequence[Item]) -> tuple[str, ...]:
        """The media types that the answer to these items may have."""
        return self.media_types

    def decode_payloads(self, request: Request) -> list[Item]:
        """The items of one request; an error says which of several it is about."""
        items = []
        end = monotonic() + self.request_s
        for index, payload in enumerate(request.payloads):
            if index and monotonic() > end:
                raise TooSlow(f"{request.place(index)} was not reached within {self.request_s:g} s")
            try:
                items.append(self.decode(payload))
                payload.check_parameters()
            except RequestError as error:
                place = request.place(index)
                raise error.at(place) if place else error from None
        return items

    def encode_response(self, state: RequestState[Item, Output]) -> Response:
        """Encode one request's outputs, wrapped the way it was asked."""
        if state.describe:
            return Response(self.describe_handle())
        if state.explain and self.explained:
            return self.explained_elsewhere()
        if state.error is not None or state.request is None:
            return error_response(state.error or InternalError("the request was not read"))
        try:
            answers = self.explain_handle(state) if state.explain else self.encode_outputs(state, state.request)
        except RequestError as error:
            if error.code >= 500 and not isinstance(error, NotOffered):
                logger.error("request %s is answered with %d: %s", state.id, error.code, error)
            return error_response(error)
        except Exception:
            logger.exception("encoding for request %s failed in an unforeseen way", state.id)
            return error_response(InternalError("the output could not be encoded; the cause is in the server's log"))
        if state.request.dialect == "plain":
            return answers[0]
        return wrapped(state.request, answers, self.context.model_name, self.card["version"])

    def encode_outputs(self, state: RequestState[Item, Output], request: Request) -> list[Response]:
        """An answer for each item of one request; RequestError where the model failed on one."""
        answers = []
        for index, (item, output) in enumerate(zip(state.items, state.outputs, strict=True)):
            if isinstance(output, RequestError):
                place = request.place(index)
                raise output.at(place) if place else output
            answers.append(self.encode(item, output, state.media_type))
        return answers

    def explain_handle(self, data_preprocess: RequestState[Item, Output], raw_data: Any = None) -> list[Response]:
        """An explanation for each item of one request."""
        return [self.explain(item) for item in data_preprocess.items]

    def explained_elsewhere(self) -> Response:
        """Where this model's explanations are answered: by workers of their own, under a name of their own."""
        path = f"/explanations/{self.context.model_name}.explain/{self.card['version']}"
        body = {"message": f"explanations have workers of their own: {path}; curl -L goes there"}
        return Response(to_json(body), status=307, location=path)

    def describe_handle(self) -> bytes:
        """The model card, with where and how this worker runs."""
        runtime = {"device": str(self.device), "threads": torch.get_num_threads(), "torch": torch.__version__}
        return orjson.dumps({**self.card, "runtime": runtime | self.accelerate.describe() | self.describe_runtime()})

    def describe_runtime(self) -> dict[str, str]:
        """How a task runs beside its model, for the model card."""
        return {}

    def warm_up(self) -> None:
        """Answer the artifact's sample at the batch sizes to come, so that the first request is as fast as the next."""
        content_type = SAMPLE_TYPES[self.artifact.sample.suffix]
        row = {"body": self.artifact.sample.read_bytes()}
        request = parse(row, {"content-type": content_type}, self.input_type, self.request_limits)
        with torch.inference_mode():
            for size in sorted({1, 2, self.batch_size}):
                items = [self.decode(request.payloads[0]) for _ in range(size)]
                outputs = list(self.predict(items))
        self.encode(items[0], outputs[0], self.offers(items)[0])
