"""CUDA_VISIBLE_DEVICES, as CUDA and torch read it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from deploy.gpu.device import Device

INDEX = re.compile(r"[+-]?[0-9]+")


def parse(text: str) -> list[int] | list[str]:
    """Indices, or beginnings of UUIDs of GPUs or of slices.

    The list ends before the first entry that is neither, or is negative; an entry that comes twice leaves none at all.
    Of an entry that begins with a number the number counts.
    """
    for prefix in ("GPU-", "MIG-"):
        if text.startswith(prefix):
            entries = text.split(",")
            end = next((at for at, entry in enumerate(entries) if not entry.startswith(prefix)), len(entries))
            return entries[:end] if len(set(entries[:end])) == end else []
    found: list[int] = []
    for entry in text.split(","):
        number = INDEX.match(entry.strip())
        index = int(number[0]) if number else -1
        if index in found:
            return []
        if index < 0:
            break
        found.append(index)
    return found


def select(text: str | None, devices: Sequence[Device]) -> list[Device]:
    """The GPUs, or slices, that a variable of this value leaves visible; None, where it is not set, leaves them all."""
    if text is None:
        return list(devices)
    found: list[Device] = []
    for entry in parse(text):
        device = named(entry, devices) if isinstance(entry, str) else numbered(entry, devices)
        if device is None:
            break
        if device in found:
            return []
        found.append(device)
    return found


def numbered(index: int, devices: Sequence[Device]) -> Device | None:
    return devices[index] if index < len(devices) else None


def named(prefix: str, devices: Sequence[Device]) -> Device | None:
    """The one GPU, or slice, whose UUID begins so; None where none or several do."""
    every = devices if prefix.startswith("GPU-") else [part for device in devices for part in device.slices]
    found = [device for device in every if device.uuid.startswith(prefix) or device.alias == prefix]
    return found[0] if len(found) == 1 else None
