from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.peer import Peer


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    made = Peer(tmp_path)
    yield made
    made.stop()
