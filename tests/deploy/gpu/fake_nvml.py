"""A stand-in for NVIDIA's management library, below its real Python side: a machine with whatever GPUs."""

# ruff: noqa: N802 - the names are NVIDIA's

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pynvml
import pytest

from deploy.gpu import detect

GIGABYTE = 2**30


@dataclass
class FakeGpu:
    """instance: (GPU instance, compute instance) of a slice. lost: it has fallen off the bus."""

    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    capability: tuple[int, int] = (9, 0)
    total: int = 80 * GIGABYTE
    free: int = 79 * GIGABYTE
    has_memory: bool = True
    measures_utilization: bool = True
    mig: bool | None = False  # None: of a kind that cannot be divided
    slices: Sequence["FakeGpu"] = ()
    instance: tuple[int, int] = (0, 0)
    lost: bool = False


def put(target: Any, value: float | bytes) -> int:
    """Into what the caller passed by reference."""
    if isinstance(value, bytes):
        target.value = value
    else:
        target._obj.value = value
    return pynvml.NVML_SUCCESS


class FakeNvml:
    """The C functions that are called. initialised: False where the driver does not answer."""

    def __init__(self, gpus: Sequence[FakeGpu], driver: str = "580.65.06", answers: bool = True) -> None:
        self.driver, self.answers, self.gpus = driver, answers, gpus
        self.every = [each for gpu in gpus for each in (gpu, *gpu.slices)]

    def at(self, handle: Any) -> FakeGpu:
        return self.every[(ctypes.cast(handle, ctypes.c_void_p).value or 0) - 1]

    def hand(self, target: Any, gpu: FakeGpu) -> int:
        ctypes.c_void_p.from_buffer(target._obj).value = self.every.index(gpu) + 1
        return pynvml.NVML_SUCCESS

    def nvmlInitWithFlags(self, flags: int) -> int:
        return pynvml.NVML_SUCCESS if self.answers else pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH

    def nvmlShutdown(self) -> int:
        return pynvml.NVML_SUCCESS

    def nvmlSystemGetDriverVersion(self, target: Any, length: Any) -> int:
        return put(target, self.driver.encode())

    def nvmlDeviceGetCount_v2(self, target: Any) -> int:
        return put(target, len(self.gpus))

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, target: Any) -> int:
        gpu = self.gpus[index.value]
        return pynvml.NVML_ERROR_GPU_IS_LOST if gpu.lost else self.hand(target, gpu)

    def nvmlDeviceGetName(self, handle: Any, target: Any, length: Any) -> int:
        return put(target, self.at(handle).name.encode())

    def nvmlDeviceGetUUID(self, handle: Any, target: Any, length: Any) -> int:
        return put(target, self.at(handle).uuid.encode())

    def nvmlDeviceGetCudaComputeCapability(self, handle: Any, major: Any, minor: Any) -> int:
        return put(major, self.at(handle).capability[0]) or put(minor, self.at(handle).capability[1])

    def nvmlDeviceGetMemoryInfo(self, handle: Any, target: Any) -> int:
        gpu = self.at(handle)
        if not gpu.has_memory:
            return pynvml.NVML_ERROR_NOT_SUPPORTED
        target._obj.total, target._obj.free, target._obj.used = gpu.total, gpu.free, gpu.total - gpu.free
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetUtilizationRates(self, handle: Any, target: Any) -> int:
        if not self.at(handle).measures_utilization:
            return pynvml.NVML_ERROR_NOT_SUPPORTED
        target._obj.gpu, target._obj.memory = 87, 30
        return pynvml.NVML_SUCCESS

    def nvmlDeviceGetMigMode(self, handle: Any, current: Any, pending: Any) -> int:
        mig = self.at(handle).mig
        return pynvml.NVML_ERROR_NOT_SUPPORTED if mig is None else put(current, int(mig)) or put(pending, int(mig))

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Any, target: Any) -> int:
        return put(target, 7)

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Any, index: Any, target: Any) -> int:
        slices = self.at(handle).slices
        if index.value >= len(slices):
            return pynvml.NVML_ERROR_NOT_FOUND
        return self.hand(target, slices[index.value])

    def nvmlDeviceGetGpuInstanceId(self, handle: Any, target: Any) -> int:
        return put(target, self.at(handle).instance[0])

    def nvmlDeviceGetComputeInstanceId(self, handle: Any, target: Any) -> int:
        return put(target, self.at(handle).instance[1])


def installer(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Callable[..., FakeNvml]:
    """A function that makes this machine one with the GPUs it is called with, as `FakeNvml` takes them."""
    driver = folder / "driver"
    driver.touch()
    monkeypatch.delenv(detect.VISIBLE, raising=False)

    def install(*gpus: FakeGpu, **options: Any) -> FakeNvml:
        library = FakeNvml(gpus, **options)
        monkeypatch.setattr(pynvml, "nvmlLib", library)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        monkeypatch.setattr(detect, "NVIDIA", driver)
        monkeypatch.setattr(detect, "DRIVERS", (driver,))
        return library

    return install
