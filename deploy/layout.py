"""How many workers each model gets on this machine. TorchServe gives a model's workers the GPUs in turn."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from client.management import Management

# What a worker takes at least: Python, torch and the libraries a handler imports.
WORKER_BYTES = 600 * 2**20
# Of the memory that is free with one worker of each model loaded; the rest is for requests and for other processes.
SHARE_OF_MEMORY = 0.5
# One worker decodes while another computes.
WORKERS_PER_GPU = 2


@dataclass(frozen=True)
class Machine:
    """cores: those this process may use. gpus: those it sees. free: bytes of memory."""

    cores: int
    gpus: int
    free: int

    @classmethod
    def here(cls) -> Machine:
        """This one, or the container's part of it."""
        import torch  # only here: it takes a second

        cores = max(1, int(min(len(os.sched_getaffinity(0)), quota())))
        free = min(psutil.virtual_memory().available, memory_left())
        return cls(cores, torch.cuda.device_count(), int(free))

    def workers(self, asked: int | str, models: int) -> int:
        """Workers of one model among `models`.

        asked: by its archive: a number, for each GPU where there are any, or "auto". That is two on each GPU; on a CPU
        a core each, the cores divided among the models, as far as the memory goes. Two workers of one thread answer
        more than one worker of two threads.
        """
        if asked != "auto":
            return int(asked) * max(1, self.gpus)
        if self.gpus:
            return WORKERS_PER_GPU * self.gpus
        fitting = 1 + int(SHARE_OF_MEMORY * self.free / WORKER_BYTES / models)
        return max(1, min(self.cores // models, fitting))


def quota() -> float:
    """Cores a container's limit allows (cgroup v2's cpu.max); infinite without one."""
    limit, _, period = text_of("/sys/fs/cgroup/cpu.max").partition(" ")
    return int(limit) / int(period) if limit.isdigit() else float("inf")


def memory_left() -> float:
    """Bytes a container's limit leaves (cgroup v2's memory.max); infinite without one."""
    limit, used = text_of("/sys/fs/cgroup/memory.max"), text_of("/sys/fs/cgroup/memory.current")
    if not (limit.isdigit() and used.isdigit()):
        return float("inf")
    # What was read from files counts as used, and is given back when a process asks for memory.
    held = dict(line.split() for line in text_of("/sys/fs/cgroup/memory.stat").splitlines())
    return int(limit) - int(used) + int(held.get("file", 0))


def text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:  # no cgroup v2 here
        return ""


def asked_by(archive: Path) -> int | str:
    """The workers an archive's spec asks for."""
    with zipfile.ZipFile(archive) as file:
        card = json.loads(file.read("card.json"))
    workers: int | str = card["workers"]
    return workers


def scale(management: Management, archives: Mapping[str, Path], machine: Machine) -> None:
    """Give each model, by its name, its workers on this machine, and wait until they have loaded it."""
    for model, archive in archives.items():
        wanted = machine.workers(asked_by(archive), len(archives))
        if wanted != management.describe(model).min_workers:
            management.scale(model, wanted, wanted)
