"""How many workers a model gets on machines of all kinds."""

import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.archive import Archive
from deploy.errors import DeployError
from deploy.serving_plan import CONTEXT_BYTES, WORKER_BYTES, WORKERS_PER_GPU, Machine, ServingPlan
from tests.deploy.gpu.fake_nvml import FakeGpu, installer

PROJECT = Path(__file__).parent.parent.parent
GIGABYTE = 2**30


@pytest.mark.parametrize(
    ("cores", "gpus", "free", "asked", "models", "workers"),
    [
        (2, 0, 16 * GIGABYTE, "auto", 1, 2),
        (2, 0, 16 * GIGABYTE, "auto", 6, 1),  # never less than one
        (16, 0, 64 * GIGABYTE, "auto", 6, 2),
        (16, 0, 12 * WORKER_BYTES, "auto", 1, 3),  # half of the free memory, and the archive is as large as the rest
        (16, 0, 0, "auto", 1, 1),
        (16, 0, 0, 5, 6, 5),  # who names a number gets it
        (16, 1, 64 * GIGABYTE, "auto", 6, 2),
        (16, 4, 64 * GIGABYTE, "auto", 1, 8),
        (16, 4, 64 * GIGABYTE, 3, 1, 12),
    ],
)
def test_workers(cores: int, gpus: int, free: int, asked: int | str, models: int, workers: int) -> None:
    assert Machine(cores, gpus, free, gpu_free=80 * GIGABYTE).workers(asked, models, WORKER_BYTES) == workers


@pytest.mark.parametrize(
    ("gpus", "gpu_free", "free", "models", "size", "workers"),
    [
        (1, 80 * GIGABYTE, 256 * GIGABYTE, 1, 30 * GIGABYTE, 1),  # a language model that fits once
        (4, 80 * GIGABYTE, 512 * GIGABYTE, 1, 30 * GIGABYTE, 4),  # and so once on each
        (1, 80 * GIGABYTE, 256 * GIGABYTE, 6, 100 << 20, 2),
        (1, 8 * GIGABYTE, 64 * GIGABYTE, 6, 100 << 20, 1),  # a small card, shared by all
        (1, GIGABYTE // 8, 64 * GIGABYTE, 1, 100 << 20, 1),  # others hold the card: its worker will say so
        (7, 9 * GIGABYTE, 128 * GIGABYTE, 1, 100 << 20, 14),  # slices
        (8, 80 * GIGABYTE, 32 * GIGABYTE, 1, 100 << 20, 8),  # little memory beside the cards
    ],
)
def test_workers_as_far_as_a_gpu_s_memory_goes(
    gpus: int, gpu_free: int, free: int, models: int, size: int, workers: int
) -> None:
    assert Machine(16, gpus, free, gpu_free).workers("auto", models, size) == workers
    assert Machine(16, gpus, free, gpu_free).workers(3, models, size) == 3 * gpus  # who names a number gets it


@pytest.mark.parametrize(
    ("gpus", "size", "delay", "batch"),
    [
        (0, "auto", "auto", (2, 0)),  # nobody waits
        (4, "auto", "auto", (16, 1)),
        (0, 1, "auto", (1, 0)),
        (0, 64, "auto", (64, 1)),  # without a delay TorchServe would take two
        (1, 2, 7, (2, 7)),
        (0, 8, 0, (8, 0)),
    ],
)
def test_batches(gpus: int, size: int | str, delay: int | str, batch: tuple[int, int]) -> None:
    assert Machine(16, gpus, 0).batch(size, delay) == batch


def test_an_archive_s_layout(tiny_archive: Callable[[str], Path]) -> None:
    assert Machine(2, 0, 16 * GIGABYTE).plan(Archive.read(tiny_archive("tiny-image")), 1) == ServingPlan(1, 4, 50)


ON_TWO_GPUS = Machine(4, 2, 64 * GIGABYTE, 40 * GIGABYTE)


@pytest.mark.parametrize(
    ("device", "plan"),
    [
        (None, ServingPlan(4, 16, 1, gpu=True)),  # of an archive that was built before there was a choice
        ("auto", ServingPlan(4, 16, 1, gpu=True)),
        ("gpu", ServingPlan(4, 16, 1, gpu=True)),
        ("cpu", ServingPlan(2, 2, 0)),  # its share of the cores, and batches as a CPU wants them
    ],
)
def test_an_archive_s_device(device: str | None, plan: ServingPlan, tmp_path: Path) -> None:
    archive = carded(tmp_path, {"device": device} if device else {})
    assert ON_TWO_GPUS.plan(archive, 2) == plan


def carded(folder: Path, card: dict[str, str]) -> Archive:
    path = folder / "any.mar"
    path.touch()
    batch = {"size": "auto", "delay_ms": "auto"}
    return Archive(path, "any", "1.0", "entry.py", {"workers": "auto", "batch": batch, **card})


def test_a_model_for_gpus_alone_is_not_served_without_one(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"any\.mar is to be served on a GPU alone"):
        Machine(4, 0, GIGABYTE).plan(carded(tmp_path, {"device": "gpu"}), 1)


@pytest.mark.parametrize(("line", "gpu"), [("", True), ("deviceType: gpu\n", True), ("deviceType: cpu\n", False)])
def test_the_device_of_an_archive_of_torchserve_s_own_kind(line: str, gpu: bool, tmp_path: Path) -> None:
    path = tmp_path / "own.mar"
    model = {"modelName": "own", "handler": "own.py", "configFile": "own.yaml"}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": model}))
        file.writestr("own.yaml", f"minWorkers: 2\nbatchSize: 8\n{line}")
    assert ON_TWO_GPUS.plan(Archive.read(path), 1) == ServingPlan(4 if gpu else 2, 8, 100, gpu)


def test_what_the_gpu_stack_is_given_holds_the_demo_models() -> None:
    """compose.gpu.yaml's memory: two workers of each of the six on one GPU, of archives of up to 100 MiB."""
    text = (PROJECT / "compose.gpu.yaml").read_text()
    [given] = re.findall(r"SERVER_MEMORY:-(\d+)g", text)
    assert Machine(16, 1, int(given) * GIGABYTE, 80 * GIGABYTE).workers("auto", 6, 100 << 20) == WORKERS_PER_GPU
    formula = 2 * 6 * WORKERS_PER_GPU * (WORKER_BYTES + CONTEXT_BYTES + (100 << 20))
    assert formula <= int(given) * GIGABYTE <= 1.2 * formula


def test_the_gpus_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install = installer(monkeypatch, tmp_path)
    install(FakeGpu("GPU-1"), FakeGpu("GPU-2", free=7 * GIGABYTE))
    assert (Machine.detect().gpus, Machine.detect().gpu_free) == (2, 7 * GIGABYTE)
    install(FakeGpu("GPU-1", "NVIDIA GB10", (12, 1), has_memory=False))
    here = Machine.detect()
    assert here.gpu_free == here.free  # it shares the machine's
    install(FakeGpu("GPU-1"), driver="535.1")
    with pytest.raises(DeployError, match="driver 580"):
        Machine.detect()


def test_this_machine_has_cores_and_memory() -> None:
    here = Machine.detect()
    assert 1 <= here.cores <= (os.cpu_count() or 1)
    assert here.free > GIGABYTE // 8
