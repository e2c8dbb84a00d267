"""Tests that need a GPU, which `./scripts/bench --gpu` runs on a machine that has one."""

from collections.abc import Callable
from typing import TypeVar

import pytest
import torch

Test = TypeVar("Test", bound=Callable[..., None])


def needs_gpu(test: Test) -> Test:
    return pytest.mark.gpu(pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")(test))
