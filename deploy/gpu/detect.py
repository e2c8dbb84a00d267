"""The GPUs that workers compute on."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from deploy.errors import DeployError
from deploy.gpu import nvml
from deploy.gpu.device import OLDEST_DRIVER, Device, problem
from deploy.gpu.visible import parse, select

VISIBLE = "CUDA_VISIBLE_DEVICES"
NVIDIA = Path("/dev/nvidiactl")
# One of these exists if a driver is loaded: NVIDIA's, that of Windows' Linux subsystem, AMD's.
DRIVERS = (NVIDIA, Path("/dev/dxg"), Path("/dev/kfd"))
# Runs in a separate process, because torch keeps memory on each GPU that it has queried.
ASK_TORCH = """
import json, torch
try:
    torch.cuda.init()
    why = ""
except Exception as error:
    why = str(error).strip().splitlines()[0]
count = 0 if why else torch.cuda.device_count()
found = [[torch.cuda.get_device_name(i), *reversed(torch.cuda.mem_get_info(i))] for i in range(count)]
print(json.dumps([found, why]))
"""
PATIENCE = 120.0  # seconds: a cold import of torch reads gigabytes
ON_CPU = f"{VISIBLE}= serves on the CPU"


def usable(variables: Mapping[str, str] = os.environ) -> list[Device]:
    """The GPUs that a process with these environment variables may use; none if torch was built without CUDA and ROCm.

    A GPU in MIG mode is replaced by its slices. Raises DeployError if torch cannot use one of them: a server that
    quietly computed on the CPU instead would be many times slower.
    """
    chosen = variables.get(VISIBLE)
    hidden = chosen is not None and not parse(chosen)
    if hidden or not any(driver.exists() for driver in DRIVERS) or not torch_has_gpus():
        return []
    every = nvml.devices()
    if every is None:
        return by_torch(variables)
    found: list[Device] = []
    for device in select(chosen, every):
        if device.partitioned and not device.slices:
            raise DeployError(f"the GPU {device.name} is in MIG mode without an instance; `nvidia-smi mig` makes one")
        found += device.slices if device.partitioned else [device]
    for device in found:
        wanted = problem(device.driver, device.capability)
        if wanted:
            capability = ".".join(map(str, device.capability)) or "unknown"
            what = f"{device.name} (driver {device.driver}, compute capability {capability})"
            raise DeployError(f"torch cannot use the GPU {what}: {wanted}; {ON_CPU}")
    return found


def torch_has_gpus() -> bool:
    """Whether the installed torch was built for CUDA or ROCm, read from its version file: importing torch is slow."""
    package = find_spec("torch")
    if package is None or package.origin is None:
        return False
    version = runpy.run_path(str(Path(package.origin).with_name("version.py")))
    return bool(version.get("cuda") or version.get("hip"))


def by_torch(variables: Mapping[str, str]) -> list[Device]:
    """The GPUs as torch sees them, for those that NVIDIA's management library does not report, such as AMD's."""
    command = [sys.executable, "-c", ASK_TORCH]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True, env=variables)
        rows, why = json.loads(done.stdout.splitlines()[-1])
    except subprocess.CalledProcessError as error:
        rows, why = [], error.stderr.strip().splitlines()[-1]
    except subprocess.TimeoutExpired:
        rows, why = [], f"no answer within {PATIENCE:g} s"
    if why and NVIDIA.exists():
        wanted = f"CUDA 13.0 needs driver {OLDEST_DRIVER} or newer and compute capability 7.5 or newer"
        raise DeployError(f"NVIDIA's driver is loaded, but torch finds no GPU: {why}; {wanted}; {ON_CPU}")
    return [Device(name, "", "", (), total, free) for name, total, free in rows]
