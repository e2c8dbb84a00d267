"""torchvision comes without torch's compiler, and the compiler works all the same where somebody wants it."""

import subprocess
import sys

import pytest

WITHOUT = """
import sys
import handlers.vision.image_classification, handlers.vision.object_detection, handlers.vision.semantic_segmentation
import torch, torchvision
found = torchvision.ops.roi_align(torch.ones(1, 2, 8, 8), [torch.tensor([[0.0, 0.0, 4.0, 4.0]])], (2, 2))
assert found.shape == (1, 2, 2, 2) and found.eq(1).all()
assert "torch._dynamo" not in sys.modules and "sympy" not in sys.modules
"""
WITH = """
import handlers.vision.decoding
import torch
from handlers.vision.lean_torchvision import is_compile_supported
doubled = torch.compile(lambda x: 2 * x, backend="eager")
assert doubled(torch.ones(2)).tolist() == [2, 2]
assert torch._dynamo.utils.is_compile_supported("cpu") == is_compile_supported("cpu")
assert torch._dynamo.__file__
"""
BEFORE = """
import torch._dynamo
compiler = torch._dynamo
import handlers.vision.decoding
import torchvision.ops.roi_align
assert torch._dynamo is compiler and compiler.__file__
"""


def run(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


def test_torchvision_works_without_the_compiler() -> None:
    run(WITHOUT)


@pytest.mark.slow
def test_the_compiler_is_itself_afterwards() -> None:
    run(WITH)


@pytest.mark.slow
def test_a_compiler_that_is_there_stays() -> None:
    run(BEFORE)
