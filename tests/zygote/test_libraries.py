"""The libraries that are imported before a fork."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
ASKED = """
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
STARTED = """
import os, threading
from zygote.libraries import IN_ORDER
from zygote.server import load

for module in IN_ORDER:
    load(module)
    print(len(os.listdir("/proc/self/task")), module)
threading.Thread(target=threading.Event().wait, daemon=True).start()
print(len(os.listdir("/proc/self/task")), "then")
"""


def printed(script: str, **variables: str) -> list[str]:
    command, environment = [sys.executable, "-c", script], {**os.environ, **variables}
    run = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def test_none_of_them_asks_cuda() -> None:
    """A process that was forked from one that has cannot use a GPU. On a CPU as on a GPU the same is imported."""
    lines = printed(ASKED)
    assert "asked:" in lines
    assert "then: _cuda_getDeviceCount" in lines  # which would have been seen


def test_none_of_them_starts_a_thread() -> None:
    """It would be missing after a fork. OpenBLAS, which ends its own before one, is asked for none."""
    *lines, last = printed(STARTED, ORT_DISABLE_TELEMETRY="1", OMP_NUM_THREADS="1")
    assert [line for line in lines if not line.startswith("1 ")] == []
    assert last == "2 then"  # which would have been seen
