"""GPUs: what the driver reports, and whether the installed torch can compute on them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import Finding, note, ok, problem
from deploy.gpu import nvml
from deploy.gpu.device import OLDEST_DRIVER, numbers
from deploy.gpu.device import problem as lacking
from deploy.gpu.visible import parse

NVIDIA = "0x10de"
DISPLAY = "0x03"  # the class of a PCI device that is a GPU
TRY_EACH = """
import json, torch
found = []
for index in range(torch.cuda.device_count()):
    try:
        found.append(float(torch.ones(8, device=f"cuda:{index}").sum()) == 8)
    except Exception as error:
        found.append(str(error).strip().splitlines()[0])
try:
    torch.cuda.init()
    why = ""
except Exception as error:
    why = str(error).strip().splitlines()[0]
print(json.dumps({"devices": found, "why": why}))
"""
TORCH_PATIENCE = 120.0  # seconds: a cold import of torch reads gigabytes


@dataclass(frozen=True)
class Gpu:
    """memory: MiB."""

    name: str
    memory: int
    driver: str
    capability: str


def gpus(checkout: Checkout) -> Iterator[Finding]:
    found, why = devices()
    if not found:
        cards = pci_cards()
        if cards or why:
            text = f"{cards} NVIDIA card(s) on the PCI bus, but {why or 'no driver answers'}"
            yield problem("GPU", text, f"install NVIDIA's driver, {OLDEST_DRIVER} or newer")
        else:
            yield ok("GPU", "none; models run on the CPU")
        return
    for index, gpu in enumerate(found):
        yield judged(f"GPU {index}", gpu)
    yield from visibility()
    yield from usable(checkout, len(found))


def judged(subject: str, gpu: Gpu) -> Finding:
    capability = gpu.capability or "unknown"
    text = f"{gpu.name}, {gpu.memory / 1024:.0f} GiB, driver {gpu.driver}, compute capability {capability}"
    wanted = lacking(gpu.driver, numbers(gpu.capability))
    if wanted:
        return problem(subject, text, f"{wanted}; CUDA_VISIBLE_DEVICES= serves on the CPU")
    return ok(subject, text)


def devices() -> tuple[list[Gpu], str]:
    """The GPUs as NVIDIA's library or else its command reports them, and the reason if the command fails."""
    found = by_library()
    return (found, "") if found else by_command()


def by_library() -> list[Gpu]:
    """None if the library is not installed or finds no driver."""
    try:
        found = nvml.devices() or []
    except ModuleNotFoundError:
        return []
    return [
        Gpu(one.name, (one.total or 0) >> 20, one.driver, ".".join(str(part) for part in one.capability))
        for one in found
    ]


def by_command() -> tuple[list[Gpu], str]:
    command = shutil.which("nvidia-smi")
    if command is None:
        return [], ""
    query = "--query-gpu=name,memory.total,driver_version,compute_cap"
    try:
        done = subprocess.run(
            [command, query, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], f"nvidia-smi fails: {error}"
    if done.returncode:
        first = (done.stdout + done.stderr).strip().splitlines()
        return [], f"nvidia-smi fails: {first[0] if first else f'status {done.returncode}'}"
    return parsed(done.stdout), ""


def parsed(text: str) -> list[Gpu]:
    """The GPUs of nvidia-smi's CSV. A slice of a GPU has no memory of its own there: "[N/A]"."""
    rows = [[field.strip() for field in line.split(",")] for line in text.splitlines() if line.count(",") == 3]
    return [Gpu(name, sum(numbers(size)[:1]), driver, capability) for name, size, driver, capability in rows]


def pci_cards(bus: Path = Path("/sys/bus/pci/devices")) -> int:
    """NVIDIA's GPUs that the kernel sees, with a driver or without."""
    return sum(
        content(device / "vendor") == NVIDIA and content(device / "class").startswith(DISPLAY)
        for device in (bus.iterdir() if bus.is_dir() else ())
    )


def content(path: Path) -> str:
    return path.read_text("ascii").strip() if path.is_file() else ""


def visibility() -> Iterator[Finding]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return
    if parse(visible):
        yield note("GPU", f"CUDA_VISIBLE_DEVICES={visible!r} decides which are used")
    else:
        yield note("GPU", f"CUDA_VISIBLE_DEVICES={visible!r} hides them all; models run on the CPU")


def usable(checkout: Checkout, present: int) -> Iterator[Finding]:
    """Whether torch computes on each GPU, tried in a process of its own."""
    if not checkout.python.exists() or "torch" not in checkout.installed():
        yield note("torch on GPU", "not tried: torch is not installed", "./scripts/setup serve")
        return
    command = [str(checkout.python), "-c", TRY_EACH]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TORCH_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        yield problem("torch on GPU", f"no answer within {TORCH_PATIENCE:g} s", "`nvidia-smi` may show who holds it")
        return
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        yield problem("torch on GPU", f"importing torch fails: {said[-1]}", "./scripts/setup serve")
        return
    yield tried(done.stdout, present)


def tried(output: str, present: int) -> Finding:
    """output: of TRY_EACH. present: GPUs that the driver reports."""
    result = json.loads(output.splitlines()[-1])
    failed = [f"GPU {index}: {why}" for index, why in enumerate(result["devices"]) if why is not True]
    working = len(result["devices"]) - len(failed)
    if failed or not working:
        text = "; ".join(failed) or result["why"] or "torch sees no GPU"
        return problem(
            "torch on GPU", text, "update the driver, or see docs/gpu.md; CUDA_VISIBLE_DEVICES= uses the CPU"
        )
    return ok("torch on GPU", f"computes on {working} of {present}")
