"""Calls at a steady rate over both protocols, and what became of each of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from client import ClientError, GrpcClient, RestClient, Server

OBSERVATION = {"data": [0.1, 0.2, 0.3, 0.4]}
RATE = 60.0  # calls a second, of all callers together
CALLERS = 60  # half of them over gRPC; so many that some wait for seconds and the others go on
PATIENCE = 30.0  # seconds, after which a call is taken to hang


class Load:
    """answered: calls by (protocol, version). failed: (protocol, error) of each call that failed or hung."""

    def __init__(self, server: Server, model: str, payload: Any = OBSERVATION, rate: float = RATE) -> None:
        self.server, self.model, self.payload, self.rate = server, model, payload, rate
        self.clients = (RestClient(server, timeout=PATIENCE), GrpcClient(server, timeout=PATIENCE))
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.answered: Counter[tuple[str, str]] = Counter()
        self.failed: list[tuple[str, ClientError]] = []
        self.threads = [threading.Thread(target=self.call, args=(number,)) for number in range(CALLERS)]

    def call(self, number: int) -> None:
        client = self.clients[number % 2]
        protocol, pause = type(client).__name__, CALLERS / self.rate
        due = time.monotonic() + number * pause / CALLERS
        while not self.ended.wait(max(0.0, due - time.monotonic())):
            began = time.monotonic()
            due = max(due + pause, began)
            try:
                version = client.predict(self.model, self.payload).version
                with self.lock:
                    self.answered[protocol, version] += 1
            except ClientError as error:
                with self.lock:
                    self.failed.append((protocol, error))

    def versions(self) -> Counter[str]:
        with self.lock:
            found = Counter[str]()
            for (_, version), count in self.answered.items():
                found[version] += count
            return found


@contextmanager
def load(server: Server, model: str, **settings: Any) -> Iterator[Load]:
    made = Load(server, model, **settings)
    for thread in made.threads:
        thread.start()
    try:
        yield made
    finally:
        made.ended.set()
        for thread in made.threads:
            thread.join()
        for client in made.clients:
            client.close()
