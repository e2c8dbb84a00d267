"""A client for asyncio with the calls of one that waits, so that a test can be of all four."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Self

import pytest

from client import Answer, AsyncGrpcClient, AsyncRestClient, GrpcClient, RestClient, Result
from client.server import Server


class Waiting:
    """Runs each call to its end in a loop of its own."""

    def __init__(self, make: type[AsyncRestClient | AsyncGrpcClient], server: Server, **options: Any) -> None:
        self.made = make(server, **options)
        self.runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.run(self.made.close())
        self.runner.close()

    @property
    def server(self) -> Server:
        return self.made.server

    @server.setter
    def server(self, server: Server) -> None:
        self.made.server = server

    def predict(self, *arguments: Any, **options: Any) -> Answer:
        return self.runner.run(self.made.predict(*arguments, **options))

    def explain(self, *arguments: Any, **options: Any) -> Answer:
        return self.runner.run(self.made.explain(*arguments, **options))

    def stream(self, *arguments: Any, **options: Any) -> Generator[Answer, None, None]:
        pieces = self.made.stream(*arguments, **options)

        async def following() -> Answer | None:
            return await anext(pieces, None)

        try:
            while (piece := self.runner.run(following())) is not None:
                yield piece
        finally:
            self.runner.run(pieces.aclose())

    def predict_many(self, *arguments: Any, **options: Any) -> Generator[Result, None, None]:
        results = self.made.predict_many(*arguments, **options)

        async def following() -> Result | None:
            return await anext(results, None)

        try:
            while (result := self.runner.run(following())) is not None:
                yield result
        finally:
            self.runner.run(results.aclose())


def async_rest(server: Server, **options: Any) -> Waiting:
    return Waiting(AsyncRestClient, server, **options)


def async_grpc(server: Server, **options: Any) -> Waiting:
    return Waiting(AsyncGrpcClient, server, **options)


Client = RestClient | GrpcClient | Waiting
Make = Callable[..., Client]
REST = pytest.mark.parametrize("make", [RestClient, async_rest])
GRPC = pytest.mark.parametrize("make", [GrpcClient, async_grpc])
ALL = pytest.mark.parametrize("make", [RestClient, GrpcClient, async_rest, async_grpc])
