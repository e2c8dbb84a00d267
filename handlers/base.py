"""The request cycle that all tasks share."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from time import monotonic
from typing import Any

import torch

from handlers.batching.isolation import run_batch
from handlers.batching.request_state import Batch, Item, Output, RequestState
from handlers.errors import MAX_MESSAGE, InternalError, InvalidInput, MalformedInput, NotOffered, RequestError, TooSlow
from handlers.model_worker import ModelWorker
from handlers.protocol.kserve import wrapped
from handlers.protocol.media_type import negotiate
from handlers.protocol.openai.call import check_named, check_offered
from handlers.protocol.payload import Request
from handlers.protocol.request import parse
from handlers.protocol.response import Response, to_json
from handlers.rare_tracebacks import RareTracebacks
from handlers.sample import sample_payload
from handlers.task import Task
from handlers.torchserve.base_handler import timed
from handlers.torchserve.metrics import StageTimer
from handlers.torchserve.progress import DECODING, ENCODING, PROGRESS, SENT
from handlers.torchserve.response_stream import ResponseStream

logger = logging.getLogger(__name__)
logger.addFilter(RareTracebacks())

# Raised by a Rust library that gives up, as tokenizers does on a text for which a pattern backtracks without end. It is
# not an Exception, so uncaught it would end the worker.
PANIC = "PanicException"
NOTHING: AbstractContextManager[None] = nullcontext()


class Handler(Task[Item, Output], ModelWorker):
    """Serves one model of one task inside a TorchServe worker.

    A subclass defines the task's methods, and TorchServe's own verbs call them: `preprocess` decodes each request of a
    batch, `inference` predicts the items of all requests together, and `postprocess` encodes each output. An error in
    one request does not affect the others.
    """

    def handle(self, data: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch with one body per request; the status and content type of each are set on the context."""
        self.context = context
        with self.busy_workers or NOTHING:
            if self.profiled:
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
        decode = self.tracer.decoding(self.decode_request, stages.begin) if self.tracer else self.decode_request
        apply = self.pool.map if self.pool and not PROGRESS.one_by_one else map
        states = list(apply(decode, data, headers, streams))
        stages.end("DecodeTime")
        return Batch(states, streams, stages)

    @timed
    def inference(self, data: Batch[Item, Output]) -> Batch[Item, Output]:
        """Predict the items of all requests together."""
        items = {index: pending for index, state in enumerate(data.states) if (pending := state.to_predict)}
        for group in PROGRESS.groups(list(items)):
            states = [data.states[index] for index in group]
            PROGRESS.predicting(group)
            with torch.inference_mode(), self.traced(states):
                outputs = iter(run_batch(self.predict, [item for index in group for item in items[index]]))
            PROGRESS.predicted(group)
            for index, state in zip(group, states, strict=True):
                state.outputs = list(islice(outputs, len(items[index])))
        data.stages.end("InferenceTime")
        return data

    @timed
    def postprocess(self, data: Batch[Item, Output]) -> list[bytes]:
        """Encode the outputs of each request as its answer."""
        answers, slots = [], PROGRESS.slots
        for index, state in enumerate(data.states):
            slots[index] |= ENCODING
            with self.traced([state]):
                answers.append(self.encode_response(state))
            slots[index] &= SENT
        data.stages.end("EncodeTime")
        if self.metrics is not None:
            predicted = [answer for state, answer in zip(data.states, answers, strict=True) if not state.describe]
            if predicted:
                self.metrics.add(data.stages.seconds, predicted)
        if self.tracer is not None:
            self.tracer.add(data, answers)
        if self.drift is not None:
            self.drift.look(data.states)
        timing = data.stages.header
        for index, answer in enumerate(answers):
            data.streams[index].end(answer, timing)
        return [answer.body for answer in answers]

    def traced(self, states: Sequence[RequestState[Item, Output]]) -> AbstractContextManager[None]:
        """Lines logged in this context name the traces of these requests."""
        return self.tracer.logging(states) if self.tracer else NOTHING

    def decode_request(
        self, row: Mapping[str, Any], headers: Mapping[str, Any], stream: ResponseStream
    ) -> RequestState[Item, Output]:
        """Parse and decode one request; an error is kept in its state."""
        state: RequestState[Item, Output] = RequestState.start(row, headers)
        state.error = PROGRESS.verdict(stream.index)
        if state.describe or state.error or (state.explain and self.explained):
            return state
        PROGRESS.slots[stream.index] |= DECODING
        try:
            if state.openai:
                check_offered(state.openai, self.openai, self.artifact.task)
            state.request = parse(row, state.headers, self.input_type, self.request_limits)
            if state.request.call:
                check_named(state.request.call, self.context.model_name)
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
            logger.exception("decoding of request %s failed unexpectedly", state.id)
            state.error = InternalError("the input could not be read; the cause is in the server's log")
        except BaseException as error:
            if type(error).__name__ != PANIC:
                raise
            state.error = InvalidInput(f"the input could not be read: {str(error)[:MAX_MESSAGE]}")
        PROGRESS.slots[stream.index] &= SENT
        return state

    def decode_payloads(self, request: Request) -> list[Item]:
        """The items of one request; if there are several, an error names the one at fault."""
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
        """Encode one request's outputs in the form of the protocol it uses."""
        if state.describe:
            return Response(self.describe_handle())
        if state.explain and self.explained:
            return self.explained_elsewhere()
        if state.error is not None or state.request is None:
            return state.refused(state.error or InternalError("the request was not read"))
        try:
            answers = self.explain_handle(state) if state.explain else self.encode_outputs(state, state.request)
        except RequestError as error:
            if error.code >= 500 and not isinstance(error, NotOffered):
                logger.error("request %s is answered with %d: %s", state.id, error.code, error)
            return state.refused(error)
        except Exception:
            logger.exception("encoding for request %s failed unexpectedly", state.id)
            return state.refused(InternalError("the output could not be encoded; the cause is in the server's log"))
        state.answers = answers
        if state.request.dialect == "plain":
            return answers[0]
        if state.request.call:
            from handlers.protocol.openai.response import response  # a worker starts sooner without it

            bodies = [answer.body for answer in answers]
            return response(state.request.call, bodies, [self.tokens_read(item) for item in state.items])
        return wrapped(state.request, answers, self.context.model_name, self.card["version"])

    def encode_outputs(self, state: RequestState[Item, Output], request: Request) -> list[Response]:
        """One answer per item of a request. Raises RequestError if the model failed on one."""
        answers = []
        for index, (item, output) in enumerate(zip(state.items, state.outputs, strict=True)):
            if isinstance(output, RequestError):
                place = request.place(index)
                raise output.at(place) if place else output
            answers.append(self.encode(item, output, state.media_type))
        return answers

    def explain_handle(self, data_preprocess: RequestState[Item, Output], raw_data: Any = None) -> list[Response]:
        """One explanation per item of a request."""
        return [self.explain(item) for item in data_preprocess.items]

    def explained_elsewhere(self) -> Response:
        """A redirect to this model's explanations, which have their own workers under their own name."""
        path = f"/explanations/{self.context.model_name}.explain/{self.card['version']}"
        body = {"message": f"explanations have their own workers: {path}; curl -L follows the redirect"}
        return Response(to_json(body), status=307, location=path)

    def warm_up(self) -> None:
        """Answer the artifact's sample at the expected batch sizes, so that the first request is as fast as any."""
        payload = sample_payload(self.artifact, self.input_type, self.request_limits)
        with torch.inference_mode():
            for size in sorted({1, 2, self.batch_size}):
                items = [self.decode(payload) for _ in range(size)]
                outputs = list(self.predict(items))
        self.encode(items[0], outputs[0], self.offers(items)[0])
