"""Workers of the tiny models, each loaded once for the tests of a file."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.handlers.worker import Worker


@pytest.fixture(autouse=True)
def _precision_as_before() -> Iterator[None]:
    """The precision that a model was found to run in is a switch of the whole process."""
    products, convolutions = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = products, convolutions


@pytest.fixture(scope="module")
def load(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Worker]:
    workers: dict[str, Worker] = {}

    def get(name: str) -> Worker:
        if name not in workers:
            workers[name] = Worker(tiny_archive(name), tmp_path_factory.mktemp(name))
        return workers[name]

    return get
