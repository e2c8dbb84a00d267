"""Predictions with the same signatures for both protocols, synchronous and asynchronous."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Coroutine, Iterable
from operator import length_hint
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from client.answer import Answer
from client.call import Call
from client.many.asynchronous import results
from client.many.batch import Batch, Progress, Result
from client.payload import Parameters, Payload

One = TypeVar("One", covariant=True)
Pieces = TypeVar("Pieces", covariant=True)
Results = TypeVar("Results", covariant=True)
ANY_NUMBER = 1 << 30  # of retries within the timeout


class Inference(ABC, Generic[One, Pieces, Results]):
    """One: the result of a call, an Answer or a coroutine of one. Pieces: a generator of Answers.

    Results: a generator of Answers and exceptions. Generators are synchronous or asynchronous.
    """

    def predict(
        self,
        model: str,
        payload: Payload,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        version: str | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
    ) -> One:
        """Send an input to a model and return its answer.

        payload: bytes, text, a file's path, JSON, an image, a waveform or an array; see `client.payload.encode`.
        content_type: of the payload, if its first bytes or suffix would be misleading. accept: media type of the
        answer. version: None for the default version. parameters: of the task, such as top_k. timeout: total seconds,
        including retries; None for the client's default.

        Raises ClientError, and ValueError or TypeError for a payload that cannot be sent.
        """
        return self._ask(Call(model, payload, content_type, accept, version, parameters, timeout))

    def explain(
        self,
        model: str,
        payload: Payload,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        version: str | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
    ) -> One:
        """Explain a model's answer. Arguments and errors as for `predict`.

        accept: image/png for a heat map of an image or recording. parameters: for example method, target and n_steps.
        Raises NotFound if the model's explanations are not served.
        """
        return self._ask(Call(model, payload, content_type, accept, version, parameters, timeout, explains=True))

    def stream(
        self,
        model: str,
        payload: Payload,
        *,
        content_type: str | None = None,
        accept: str | None = None,
        version: str | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
    ) -> Pieces:
        """Yield the pieces of an answer while the model generates it. Arguments and errors as for `predict`.

        timeout: for the whole stream. A model that does not stream sends its answer as a single piece. To stop early,
        close the iterator; the model then stops generating.
        """
        return self._pieces(Call(model, payload, content_type, accept, version, parameters, timeout))

    def predict_many(
        self,
        model: str,
        payloads: Iterable[Payload],
        *,
        concurrency: int = 8,
        progress: bool | Progress = False,
        content_type: str | None = None,
        accept: str | None = None,
        version: str | None = None,
        parameters: Parameters | None = None,
        timeout: float | None = None,
    ) -> Results:
        """Yield the answers to many inputs in order; for a failed input, the exception that `predict` would raise.

        payloads: any number, even infinite; at most four times `concurrency` are read ahead of their results.
        concurrency: number of concurrent calls. progress: True for a bar on standard error, or a function of the number
        of results and the total, which is None if unknown. The other arguments are as for `predict`.

        A call that gets 429 or 503 keeps its place, waits according to Retry-After and is sent again until its timeout.
        To stop early, close the generator or the client; calls in flight are then cancelled, and no thread is left.
        """
        options = (content_type, accept, version, parameters, timeout)
        calls = (Call(model, payload, *options, max_retries=ANY_NUMBER) for payload in payloads)
        return self._ask_many(Batch(calls, concurrency, progress, length_hint(payloads, 0) or None))

    @abstractmethod
    def _ask(self, call: Call) -> One: ...

    @abstractmethod
    def _pieces(self, call: Call) -> Pieces: ...

    @abstractmethod
    def _ask_many(self, batch: Batch) -> Results: ...


class AsyncInference(
    Inference[Coroutine[Any, Any, Answer], AsyncGenerator[Answer, None], AsyncGenerator[Result, None]]
):
    """The methods of a client for asyncio."""

    def _ask_many(self, batch: Batch) -> AsyncGenerator[Result, None]:
        return results(self._ask, batch)

    @abstractmethod
    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
