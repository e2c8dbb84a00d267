"""Healthy callers of every model, over both protocols, whose answers are compared with those they got alone."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from client import ClientError, GrpcClient, RestClient
from client.payload import Payload, encode
from tests.chaos.inputs.bodies import AUDIO_MODELS, IMAGE_MODELS
from tests.chaos.target import Target
from tests.closeness import assert_close
from tests.inputs import IMAGES, OBSERVATIONS, TEXTS, encoded, noise, recording

PAUSE = 0.02  # seconds between two requests of one caller: they are there to compare, not to load
ASKED_AGAIN = 0.2
KEPT = 50  # wrong answers of a phase whose request is kept


def payloads(model: str) -> list[Payload]:
    """Different good inputs of a model."""
    if model in IMAGE_MODELS:
        return [encoded(image, form) for image, form in zip(IMAGES, ("PNG", "JPEG", "WEBP"), strict=True)]
    if model in AUDIO_MODELS:
        return [recording(noise(seconds, 3)) for seconds in (0.2, 1.0, 0.5)]
    if model == "tiny-answers":
        return [{"question": "Who?", "context": text} for text in TEXTS]
    if model == "tiny-writer":
        return [{"text": text, "max_new_tokens": 6} for text in TEXTS]
    if model == "tiny-policy":
        return [{"data": observation.tolist()} for observation in OBSERVATIONS]
    return list(TEXTS)


@dataclass(frozen=True)
class Healthy:
    """One request and its right answer, parsed."""

    model: str
    payload: Payload
    answer: Any

    def is_right(self, answer: Any) -> bool:
        try:
            assert_close(answer, self.answer)
        except (AssertionError, KeyError, TypeError):
            return False
        return True

    def is_right_as_json(self, body: bytes) -> bool:
        try:
            return self.is_right(json.loads(body))
        except ValueError:
            return False

    def as_sent(self) -> tuple[str, bytes]:
        """(content type, body)."""
        body, content_type = encode(self.payload)
        return content_type, body


@dataclass(frozen=True)
class WrongNeighbour:
    """A healthy request that did not get its right answer: what it got, and the request as JSON can hold it."""

    what: str
    request: dict[str, Any]


@dataclass
class Tally:
    """counts: of right, refused, wrong and hung answers to healthy requests."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[WrongNeighbour] = field(default_factory=list)


class Neighbours:
    """A context manager: threads that ask until the end. deadline: seconds for one answer.

    A refusal is right only while it is permitted: after a kill, until the server has recovered.
    """

    def __init__(self, target: Target, deadline: float, callers: int = 2) -> None:
        self.target, self.deadline = target, deadline
        self.tally, self.lock = Tally(), threading.Lock()
        self.permitted: frozenset[int] = frozenset()
        self.ended = threading.Event()
        self.requests = [self.alone(model, payload) for model in target.models for payload in payloads(model)]
        self.threads = [
            threading.Thread(target=self.ask, args=(kind, number), daemon=True)
            for kind in (RestClient, GrpcClient)
            for number in range(callers)
        ]

    def __enter__(self) -> Neighbours:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join(self.deadline + 5)

    def alone(self, model: str, payload: Payload) -> Healthy:
        """The right answer, before anything else is asked; the same over both protocols."""
        with RestClient(self.target.server) as rest, GrpcClient(self.target.server) as grpc:
            found = Healthy(model, payload, rest.predict(model, payload).json())
            if not found.is_right(grpc.predict(model, payload).json()):
                raise AssertionError(f"{model} answers differently over REST and gRPC")
        return found

    def ask(self, kind: type[RestClient | GrpcClient], number: int) -> None:
        with kind(self.target.server, timeout=self.deadline) as client:
            turn = itertools.cycle(self.requests)
            for _ in range(7 * number):
                next(turn)
            while not self.ended.wait(PAUSE):
                if not self.compare(client, next(turn)):
                    self.ended.wait(ASKED_AGAIN)

    def compare(self, client: RestClient | GrpcClient, healthy: Healthy) -> bool:
        """Ask once and count the answer; whether it was right."""
        permitted = self.permitted
        started = time.monotonic()
        try:
            answer = client.predict(healthy.model, healthy.payload).json()
            what = "right" if healthy.is_right(answer) else "wrong"
            told = f"another answer: {json.dumps(answer)[:400]}"
        except ClientError as error:
            hung = time.monotonic() - started >= self.deadline
            what = "refused" if error.code in permitted | self.permitted else "hung" if hung else "wrong"
            told = f"{error.code} {error.type}: {error.message[:200]}"
        except ValueError as error:
            what, told = "wrong", f"an answer that is not JSON: {error}"
        with self.lock:
            self.tally.counts[what] += 1
            if what in ("wrong", "hung") and len(self.tally.wrong) < KEPT and not self.ended.is_set():
                self.tally.wrong.append(
                    WrongNeighbour(f"{healthy.model} over {type(client).__name__}: {told}", as_json(healthy))
                )
        return what == "right"

    def taken(self) -> Tally:
        """The tally since the last time."""
        with self.lock:
            tally, self.tally = self.tally, Tally()
        return tally

    @contextmanager
    def permitting(self, codes: frozenset[int]) -> Iterator[None]:
        self.permitted = codes
        try:
            yield
        finally:
            time.sleep(ASKED_AGAIN)
            self.permitted = frozenset()

    def recovered(self, models: Sequence[str], bound: float, steady: float = 0.0) -> tuple[float, list[str]]:
        """(seconds until each model gave its right answer, those that did not within the bound).

        steady: for how long they must go on with that.
        """
        started = since = time.monotonic()
        first = {model: next(each for each in self.requests if each.model == model) for model in models}
        with RestClient(self.target.server, timeout=max(1.0, bound / 4)) as client:
            while True:
                lost = [model for model, healthy in first.items() if not is_right_now(client, healthy)]
                since = time.monotonic() if lost else since
                if since - started > bound or (time.monotonic() - since >= steady and not lost):
                    return since - started, lost
                time.sleep(ASKED_AGAIN)


def is_right_now(client: RestClient, healthy: Healthy) -> bool:
    try:
        return healthy.is_right_as_json(client.predict(healthy.model, healthy.payload).body)
    except ClientError:
        return False


def as_json(healthy: Healthy) -> dict[str, Any]:
    content_type, body = healthy.as_sent()
    return {"model": healthy.model, "content_type": content_type, "body": body.hex(), "right": healthy.answer}
