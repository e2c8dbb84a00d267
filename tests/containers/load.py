"""Load on a stack from a few threads."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from client import (
    ClientError,
    GrpcClient,
    RestClient,
    Server,
)
from tests.containers.models import IMAGE


def in_threads(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Load:
    """Requests without a pause from a few threads, until the block ends; what became of each."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.counted: Counter[str] = Counter()
        self.ended = threading.Event()
        makes: list[Any] = [RestClient, GrpcClient] * 3
        self.threads = [threading.Thread(target=self.ask, args=(make,)) for make in makes]

    def ask(self, make: type[RestClient | GrpcClient]) -> None:
        with make(self.server) as client:
            while not self.ended.is_set():
                try:
                    client.predict("tiny-image", IMAGE)
                    self.counted["answered"] += 1
                except ClientError as error:
                    self.counted[f"{make.__name__}: {error}"] += 1
                time.sleep(0.05)  # below the caller's rate

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()
