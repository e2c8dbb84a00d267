"""Audio tasks without gradients."""

from typing import Any

import pytest
import torch


@pytest.fixture
def no_gradients() -> Any:
    with torch.inference_mode():
        yield
