from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.gpu.fake_nvml import FakeNvml, installer


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., FakeNvml]:
    return installer(monkeypatch, tmp_path)
