"""The order of things, the same for every task; a task fills in decode, predict and encode."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import orjson
import torch

from handlers.acceleration import Acceleration
from handlers.answer import Answer, error_answer
from handlers.artifact import Artifact
from handlers.batch import run_batch
from handlers.errors import InternalError, NotOffered, RequestError
from handlers.kserve import v1_body, v2_body
from handlers.loader import load_model
from handlers.neighbours import Neighbours
from handlers.payload import Kind, Payload
from handlers.pieces import Pieces
from handlers.report import Report, without_prediction_time
from handlers.request import Request, parse
from handlers.stage_metrics import StageMetrics

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Output = TypeVar("Output")

MEBIBYTE = 1 << 20


@dataclass
class Slot(Generic[Item]):
    """One request of the batch on its way: what was asked, and its items or what is wrong with it.

    id: the caller's or the edge's X-Request-Id, for the log; gRPC forwards none.
    """

    id: str = "-"
    request: Request | None = None
    items: list[Item] | None = None
    error: RequestError | None = None


class Handler(ABC, Generic[Item, Output]):
    """Serves one model of one task inside a TorchServe worker.

    A subclass names its input `kind` and defines three verbs: `decode` turns a payload into an item and raises a
    RequestError for a bad one; `predict` turns items, of whatever sizes, into as many outputs, in order; `encode`
    turns an output into an answer. It is not derived from TorchServe's BaseHandler, because importing that
    initialises CUDA and pulls in libraries no task uses; TorchServe asks only for `initialize` and `handle`.
    """

    kind: ClassVar[Kind]

    def __init__(self, context: Any) -> None:
        """Load the model and warm it up; anything wrong is raised, and TorchServe reports the worker as failed.

        context: TorchServe's, with `system_properties` (model_dir, gpu_id, batch_size) and `model_yaml_config`.
        """
        folder = Path(context.system_properties["model_dir"])
        settings: Mapping[str, Any] = context.model_yaml_config["handler"]
        self.limits: Mapping[str, Any] = settings.get("limits") or {}
        self.options: Mapping[str, Any] = settings.get("options") or {}
        self.max_bytes = int(self.limits.get("max_bytes", 16 * MEBIBYTE))
        self.batch_size = int(context.system_properties["batch_size"])
        cores = torch.get_num_threads()  # as `deploy` has told it, or torch's own count
        threads = int(settings.get("threads", 0))
        if threads:
            torch.set_num_threads(threads)
        self.device = device_of(context.system_properties.get("gpu_id"))
        self.artifact = Artifact.read(folder / "artifact")
        self.labels = self.artifact.labels
        self.card = orjson.loads((folder / "card.json").read_bytes())
        self.pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="decode") if threads > 1 else None
        export = settings.get("export")
        graph, written = self.artifact.graph, Path(export) if export else None
        worker = context.metrics is not None  # elsewhere there are no neighbours, and nobody reads reports
        self.neighbours = Neighbours() if worker else None
        alone = self.neighbours.rest if self.neighbours else lambda: False
        self.accelerate = Acceleration(self.device, threads, graph, written, self.batch_size, cores, alone)
        self.load()
        self.warm_up()
        self.report: Report | None = None
        if worker:
            without_prediction_time(context.metrics)
            self.report = Report(context.model_name, self.card["version"])
            self.report.start()

    def load(self) -> None:
        """Load the model into `self.model`; a task adds what else it needs, or makes its model faster:
        `self.forward = self.accelerate(build, example)`."""
        self.model = load_model(self.artifact, self.device)

    @abstractmethod
    def decode(self, payload: Payload) -> Item:
        """One payload to one item; RequestError when it cannot be."""

    @abstractmethod
    def predict(self, items: Sequence[Item]) -> Sequence[Output]:
        """As many outputs as items, in their order; each the same as if the item were alone."""

    @abstractmethod
    def encode(self, item: Item, output: Output, accept: str) -> Answer:
        """One output as an answer; accept: the media types asked for, "" for any."""

    def handle(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch: as many bodies as rows; status and content type are set on the context, item by item."""
        if context.get_request_header(0, "describe") == "True" and not rows[0]:
            return [self.describe()]
        with self.neighbours or nullcontext():
            return self.respond(rows, context)

    def respond(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        metrics = StageMetrics()
        headers = [context.get_all_request_header(index) for index in range(len(rows))]
        pieces = [Pieces(context, index, header) for index, header in enumerate(headers)]
        slots = list((self.pool.map if self.pool else map)(self.open, rows, headers, pieces))
        metrics.end("DecodeTime")
        items = [item for slot in slots for item in slot.items or []]
        with torch.inference_mode():
            outputs = iter(run_batch(self.predict, items))
        metrics.end("InferenceTime")
        answers = [self.close(slot, [next(outputs) for _ in slot.items or []], context) for slot in slots]
        metrics.end("EncodeTime")
        if self.report is not None:
            self.report.add(metrics.seconds, answers)
        for index, answer in enumerate(answers):
            context.set_response_content_type(index, answer.content_type)
            pieces[index].close()
            if answer.status != 200:
                context.set_response_status(answer.status, answer.phrase, index)
        return [answer.body for answer in answers]

    def connect(self, request: Request, items: Sequence[Item], pieces: Pieces) -> None:
        """For a task that sends its answers piece by piece: gives the items of one request their way out."""

    def open(self, row: Mapping[str, Any], headers: Mapping[str, Any], pieces: Pieces) -> Slot[Item]:
        """Parse and decode one request; what is wrong with it stays with it."""
        slot: Slot[Item] = Slot(request_id(headers))
        try:
            if headers.get("explain") == "True":
                raise NotOffered("this model offers no explanations")
            slot.request = parse(row, headers, self.kind, self.max_bytes)
            slot.items = [self.decode(payload) for payload in slot.request.payloads]
            self.connect(slot.request, slot.items, pieces)
        except RequestError as error:
            slot.items, slot.error = None, error
        except Exception:
            logger.exception("decoding of request %s failed in an unforeseen way", slot.id)
            slot.items, slot.error = (
                None,
                InternalError("the input could not be read; the cause is in the server's log"),
            )
        return slot

    def close(self, slot: Slot[Item], outputs: Sequence[Output | RequestError], context: Any) -> Answer:
        """Encode one request's outputs, wrapped the way it was asked."""
        if slot.error is not None or slot.request is None or slot.items is None:
            return error_answer(slot.error or InternalError("the request was not read"))
        request = slot.request
        try:
            answers = []
            for item, output in zip(slot.items, outputs, strict=True):
                if isinstance(output, RequestError):
                    raise output
                answers.append(self.encode(item, output, request.accept if request.dialect == "plain" else ""))
        except RequestError as error:
            if error.code >= 500:
                logger.error("request %s is answered with %d: %s", slot.id, error.code, error)
            return error_answer(error)
        except Exception:
            logger.exception("encoding for request %s failed in an unforeseen way", slot.id)
            return error_answer(InternalError("the output could not be encoded; the cause is in the server's log"))
        bodies = [answer.body for answer in answers]
        classes = [label for answer in answers for label in answer.classes]
        if request.dialect == "v1":
            return Answer(v1_body(bodies), classes=classes)
        if request.dialect == "v2":
            body = v2_body(bodies, context.model_name, self.card["version"], request.id)
            return Answer(body, classes=classes)
        return answers[0]

    def describe(self) -> bytes:
        """The model card, with where and how this worker runs."""
        runtime = {"device": str(self.device), "threads": torch.get_num_threads(), "torch": torch.__version__}
        return orjson.dumps({**self.card, "runtime": runtime})

    def warm_up(self) -> None:
        """Answer the artifact's sample at the batch sizes to come, so that the first request is as fast as the next."""
        content_type = SAMPLE_TYPES[self.artifact.sample.suffix]
        row = {"body": self.artifact.sample.read_bytes()}
        request = parse(row, {"content-type": content_type}, self.kind, self.max_bytes)
        with torch.inference_mode():
            for size in sorted({1, 2, self.batch_size}):
                items = [self.decode(request.payloads[0]) for _ in range(size)]
                outputs = list(self.predict(items))
        self.encode(items[0], outputs[0], "")


def request_id(headers: Mapping[str, Any]) -> str:
    """As the log may hold it: a header is whatever its sender wrote."""
    found = next((str(value) for name, value in headers.items() if name.lower() == "x-request-id"), "")
    return found[:64] if found.isascii() and found.isprintable() and found else "-"


SAMPLE_TYPES = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".txt": "text/plain",
    ".json": "application/json",
}


def device_of(gpu_id: int | str | None) -> torch.device:
    """The GPU TorchServe gave this worker, or the CPU."""
    if gpu_id is not None and str(gpu_id) not in ("", "-1") and torch.cuda.is_available():
        return torch.device(f"cuda:{gpu_id}")
    return torch.device("cpu")
