"""Workers of explanations of the tiny models, each loaded once for the tests of a file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.handlers.worker import Worker


@pytest.fixture(scope="module")
def explainer(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Worker]:
    workers: dict[str, Worker] = {}

    def get(name: str) -> Worker:
        if name not in workers:
            worker = Worker(tiny_archive(name), tmp_path_factory.mktemp(name), ".explain")
            # How busy this machine is must not decide how far they go.
            worker.handler.explain_limits = replace(worker.handler.explain_limits, max_seconds=600.0)
            workers[name] = worker
        return workers[name]

    return get
