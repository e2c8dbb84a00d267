"""The machine that is measured: its GPU, driver, link and libraries."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any

import pynvml
import torch
import torchvision

UNKNOWN = "not reported"
VIDEO = "libnvcuvid.so.1"  # the driver's, through which nvJPEG reaches the hardware decoder
ASKED = ("nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv")
PATIENCE = 20.0  # seconds


def facts() -> dict[str, str]:
    """Name → value; a value that the driver does not report is named so."""
    return {
        **driver(),
        "torch, torchvision": f"{torch.__version__}, {torchvision.__version__}",
        "CUDA, cuDNN": f"{torch.version.cuda or 'none'}, {torch.backends.cudnn.version() or 'none'}",
        VIDEO: "can be loaded" if loads(VIDEO) else "missing: nvJPEG decodes without the hardware decoder",
        "one call of nvidia-smi": seconds_of(ASKED),
        "processor": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
    }


def driver() -> dict[str, str]:
    """NVIDIA's own account of the first GPU; empty without a driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
    return {
        "GPU": asked(lambda: pynvml.nvmlDeviceGetName(gpu)),
        "driver": asked(pynvml.nvmlSystemGetDriverVersion),
        "compute capability": asked(lambda: "{}.{}".format(*pynvml.nvmlDeviceGetCudaComputeCapability(gpu))),
        "memory": asked(lambda: f"{pynvml.nvmlDeviceGetMemoryInfo(gpu).total / 2**30:.0f} GiB"),
        "PCIe generation, lanes": asked(
            lambda: f"{pynvml.nvmlDeviceGetCurrPcieLinkGeneration(gpu)}, {pynvml.nvmlDeviceGetCurrPcieLinkWidth(gpu)}"
        ),
        "power limit": asked(lambda: f"{pynvml.nvmlDeviceGetPowerManagementLimit(gpu) / 1000:.0f} W"),
    }


def asked(question: Callable[[], Any]) -> str:
    try:
        return str(question())
    except pynvml.NVMLError:
        return UNKNOWN


def loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def seconds_of(command: tuple[str, ...]) -> str:
    """The time that a command takes, or the reason why it fails."""
    if shutil.which(command[0]) is None:
        return f"{command[0]} is not on the PATH"
    started = perf_counter()
    try:
        subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"fails: {error}"
    return f"{perf_counter() - started:.2f} s"


def processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def commit(project: Path) -> str:
    """The short hash of a checkout's commit, with a + if files differ from it; "no commit" outside of git."""
    git = shutil.which("git")
    if git is None:
        return "no commit"
    command = [git, "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        run = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return "no commit"
    return run.stdout.strip()
