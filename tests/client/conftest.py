from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.fake_server import FakeServer


@pytest.fixture
def fake_server(tmp_path: Path) -> Iterator[FakeServer]:
    made = FakeServer(tmp_path)
    yield made
    made.stop()
