"""The libraries that are imported before a fork."""

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SCRIPT = """
import torch
from zygote.libraries import IN_ORDER
from zygote.server import load

calls = []
for name in ("_cuda_init", "_cuda_getDeviceCount"):
    setattr(torch._C, name, lambda *given, name=name: calls.append(name) or 0)
for module in IN_ORDER:
    load(module)
print("asked:", *calls)
torch.cuda.is_available()
print("then:", *calls)
"""


def test_none_of_them_asks_cuda() -> None:
    """A process that was forked from one that has cannot use a GPU. On a CPU as on a GPU the same is imported."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], cwd=PROJECT, capture_output=True, text=True, check=True)
    lines = run.stdout.splitlines()
    assert "asked:" in lines
    assert "then: _cuda_getDeviceCount" in lines  # which would have been seen
