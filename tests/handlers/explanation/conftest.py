"""Workers of explanations of the tiny models, each loaded once for the tests of a file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.handlers.worker import Worker


@pytest.fixture(scope="module")
def explainer(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Worker]:
    workers: dict[str, Worker] = {}

    def get(name: str) -> Worker:
        if name not in workers:
            workers[name] = Worker(tiny_archive(name), tmp_path_factory.mktemp(name), ".explain")
        return workers[name]

    return get
