"""The GPUs, as NVIDIA's management library reports them, without a context on any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from deploy.gpu.device import Device


def devices() -> list[Device] | None:
    """Every GPU of the machine, in the order of the PCI bus, as `nvidia-smi` counts them; None without the library.

    Raises ModuleNotFoundError where its Python side is not installed.
    """
    import pynvml  # most machines have no GPU, and are spared a module of ten thousand lines

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        driver = str(pynvml.nvmlSystemGetDriverVersion())
        return [device(pynvml.nvmlDeviceGetHandleByIndex(i), driver) for i in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:  # a GPU that fell off the bus, for instance: torch says what it makes of it
        return None
    finally:
        pynvml.nvmlShutdown()


def device(handle: Any, driver: str) -> Device:
    import pynvml

    capability = said(pynvml.nvmlDeviceGetCudaComputeCapability, handle) or ()
    mode = said(pynvml.nvmlDeviceGetMigMode, handle)
    uuid = str(pynvml.nvmlDeviceGetUUID(handle))
    return Device(
        str(pynvml.nvmlDeviceGetName(handle)),
        uuid,
        driver,
        tuple(capability),
        *memory(handle),
        partitioned=bool(mode and mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE),
        slices=tuple(slices(handle, uuid, driver, tuple(capability))) if mode and mode[0] else (),
    )


def slices(handle: Any, parent: str, driver: str, capability: tuple[int, ...]) -> Iterator[Device]:
    import pynvml

    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with suppress(pynvml.NVMLError_NotFound):  # fewer slices than there could be
            part = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
            instances = pynvml.nvmlDeviceGetGpuInstanceId(part), pynvml.nvmlDeviceGetComputeInstanceId(part)
            yield Device(
                str(pynvml.nvmlDeviceGetName(part)),
                str(pynvml.nvmlDeviceGetUUID(part)),
                driver,
                capability,
                *memory(part),
                alias="MIG-{}/{}/{}".format(parent, *instances),
            )


def memory(handle: Any) -> tuple[int | None, int | None]:
    """(all, free) in bytes."""
    import pynvml

    found = said(pynvml.nvmlDeviceGetMemoryInfo, handle)
    return (int(found.total), int(found.free)) if found else (None, None)


def said(ask: Callable[[Any], Any], handle: Any) -> Any:
    """None where this kind of GPU has no such thing."""
    import pynvml

    try:
        return ask(handle)
    except (pynvml.NVMLError_NotSupported, pynvml.NVMLError_FunctionNotFound):  # or by so old a driver
        return None
