"""The base of all explainers, which have their own workers, so that predictions do not wait for them."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from handlers.acceleration.accelerate import Acceleration, Function
from handlers.acceleration.equivalence import Judge
from handlers.base import Handler
from handlers.errors import RequestError
from handlers.explanation.asked import Asked, ExplanationLimits
from handlers.explanation.attribution import Attributor, Score
from handlers.protocol.payload import Parameters, Payload, Request
from handlers.sample import sample_payload
from handlers.torchserve.response_stream import ResponseStream

# Where processors are scarce, Linux gives a process of this niceness a ninth of a prediction worker's share.
NICE = 10


class Question(Protocol):
    """One item to explain."""

    @property
    def asked(self) -> Asked: ...


Item = TypeVar("Item", bound=Question)
Output = TypeVar("Output")
Task = TypeVar("Task", bound=Handler[Any, Any])


class AsBuilt(Acceleration):
    """The model as torch computes it, with gradients, in place of its fastest form."""

    def fastest(
        self,
        build: Callable[[], nn.Module],
        example: Tensor,
        dynamic: Sequence[int],
        judge: Judge,
        lengths: Collection[int],
    ) -> Function:
        return build()


class Explainer(Handler[Item, Output], Generic[Task, Item, Output]):
    """Serves the explanations of a model as a second model of TorchServe's, NAME.explain, from the same archive.

    The handler of the model's own task reads inputs and runs the model, without acceleration that would remove its
    gradients. A subclass names that handler as `task_class`, and defines decode, explain_item and encode.
    """

    task_class: ClassVar[type[Handler[Any, Any]]]
    methods: ClassVar[tuple[str, ...]]
    # Parameters with which every sample can be explained.
    always: ClassVar[Mapping[str, int]] = {}

    def load(self) -> None:
        """Load the model by its task's handler. Raises KeyError if the archive's settings have no `explain`."""
        settings = self.context.model_yaml_config["handler"]
        self.explain_limits = ExplanationLimits.of(settings["explain"])
        # If one request takes much longer, a process beside this one ends it, and TorchServe does so after response_s.
        response_s = float(self.context.model_yaml_config["responseTimeout"])
        settings["request_s"] = (self.explain_limits.max_seconds + response_s) / 2
        if self.context.metrics is not None:
            os.nice(NICE - os.nice(0))
        # Prediction workers would take this one for one of theirs and leave cores to it.
        self.busy_workers = None
        threads, graph = self.accelerate.threads, self.accelerate.graph
        self.task: Task = self.task_class()
        vars(self.task).update({**vars(self), "accelerate": AsBuilt(self.device, threads, graph)})
        self.task.load()
        self.differentiable = self.artifact.format != "onnx"

    def decode_request(self, row: Mapping[str, Any], headers: Mapping[str, Any], stream: ResponseStream) -> Any:
        """Every request to this worker is for an explanation, whichever path it came by."""
        return super().decode_request(row, {**headers, "explain": "False"} if "explain" in headers else headers, stream)

    def decode_payloads(self, request: Request) -> list[Item]:
        """As for a prediction. Raises InvalidInput if all together take more runs of the model than a request may."""
        items = super().decode_payloads(request)
        if len(items) > 1:
            runs = sum(item.asked.evaluations for item in items)
            self.explain_limits.check(runs, f"{len(items)} explanations", "fewer in one request")
        return items

    def predict(self, items: Sequence[Item]) -> Sequence[Any]:
        """Explain items one after the other, all within one request's time limit; an error affects its item alone."""
        deadline = monotonic() + self.explain_limits.max_seconds
        most = self.explain_limits.max_evaluations // max(1, len(items))
        outputs: list[Output | RequestError] = []
        with torch.inference_mode(False), torch.enable_grad():
            for item in items:
                try:
                    outputs.append(self.explain_item(item, partial(Attributor, deadline=deadline, most=most)))
                except RequestError as error:
                    outputs.append(error.detached())
        return outputs

    @abstractmethod
    def explain_item(self, item: Item, attributor: Callable[[Score], Attributor]) -> Output:
        """The explanation of one item, with gradients enabled."""

    def warm_up(self) -> None:
        """Explain the artifact's sample once, with as few runs of the model as the first method allows."""
        sample = sample_payload(self.artifact, self.input_type, self.request_limits)
        steps = {"n_steps": 1} if self.differentiable else {}
        item = self.decode(
            Payload(sample.data, sample.content_type, Parameters({**sample.parameters, **steps, **self.always}))
        )
        [output] = self.predict([item])
        if isinstance(output, RequestError):
            raise output
        self.encode(item, output, self.offers([item])[0])
