"""Models as a server lists them, of real archives."""

from collections.abc import Callable
from pathlib import Path

import pytest

from client.model_status import ModelStatus
from client.server import Server
from deploy.status import Status
from deploy.surface.models import Models

NAMES = ("tiny-image", "tiny-audio", "tiny-answers", "tiny-policy", "tiny-writer")


def status_of(name: str, archive: str) -> ModelStatus:
    return ModelStatus(name, "1.0", archive, 1, 1, 1, 1, 0, 1, ())


@pytest.fixture(scope="package")
def models(tiny_archive: Callable[[str], Path]) -> Models:
    """NAMES, the explanations of one, and "gone", whose archive has been deleted."""
    archives = [tiny_archive(name) for name in NAMES]
    status = Status(Server(), archives[0].parent, NAMES)
    status.models = [status_of(path.stem, path.name) for path in archives]
    status.models += [status_of("tiny-image.explain", "tiny-image.mar"), status_of("gone", "gone.mar")]
    return Models(status)
