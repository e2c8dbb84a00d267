"""A GPU, and the requirements of torch. Standard library only: `doctor` reads it before anything is installed."""

from __future__ import annotations

import re
from dataclasses import dataclass

OLDEST_DRIVER = 580  # of CUDA 13.0, which the wheels of torch are built for
MIN_CAPABILITY = (7, 5)  # Turing: CUDA 13 compiles for nothing older


@dataclass(frozen=True)
class Device:
    """A GPU, or a slice of one (MIG).

    name, uuid, driver: as NVIDIA's library reports them. capability: () if unknown. total, free: bytes of memory;
    None if the GPU shares the machine's. alias: an older name of a slice. partitioned: whether only its `slices` can
    compute.
    """

    name: str
    uuid: str
    driver: str
    capability: tuple[int, ...]
    total: int | None
    free: int | None
    alias: str = ""
    partitioned: bool = False
    slices: tuple[Device, ...] = ()


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def problem(driver: str, capability: tuple[int, ...]) -> str:
    """The change that a GPU needs before torch can compute on it, or ""."""
    if numbers(driver)[:1] < (OLDEST_DRIVER,):
        return f"install driver {OLDEST_DRIVER} or newer, which CUDA 13.0 needs"
    if capability and capability < MIN_CAPABILITY:
        return "torch for CUDA 13.0 needs compute capability 7.5 or newer"
    return ""
