"""The environment variables that tell TorchServe and its workers about GPUs.

TorchServe counts GPUs by CUDA_VISIBLE_DEVICES, in which it accepts only numbers, or else by nvidia-smi, and gives each
worker the number of one. The workers see the variable as the user has set it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.gpu.detect import VISIBLE
from deploy.gpu.device import Device
from zygote.client import VARIABLES

# With an nvidia-smi that answers at once: TorchServe runs one for each GPU worker whenever it describes a model.
PROGRAMS = Path(__file__).parent / "bin"
ORDER = "CUDA_DEVICE_ORDER"
# For the workers: the GPU behind each of TorchServe's numbers, by UUID.
DEVICES = "BUNDLE_GPUS"


def selecting(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment variables among these that select GPUs."""
    return {name: variables[name] for name in (VISIBLE, ORDER) if name in variables}


def of_workers(devices: Sequence[Device], variables: Mapping[str, str]) -> dict[str, str]:
    """CUDA numbers GPUs as nvidia-smi and we do, and a worker that gets one of several is told its UUID.

    A process sees one slice of a GPU at most, the first, so that a worker must be told which.
    """
    if not devices:
        return {}
    named = all(device.uuid for device in devices) and (len(devices) > 1 or devices[0].uuid.startswith("MIG-"))
    told = {DEVICES: ",".join(device.uuid for device in devices)} if named else {}
    return {ORDER: variables.get(ORDER, "PCI_BUS_ID"), **told}


def of_torchserve(
    devices: Sequence[Device], variables: Mapping[str, str], others: Mapping[str, str] | None = None
) -> dict[str, str]:
    """TorchServe's environment, made from that of its workers: it names as many numbers as there are GPUs.

    Without GPUs it names a number all the same, or TorchServe would run programs that look for GPUs. The lower of this
    and of its setting number_of_gpu counts in the end. others: further variables that its workers get as they were.
    """
    own = {VISIBLE: ",".join(map(str, range(len(devices)))) or "-1", **(others or {})}
    if devices:
        own["PATH"] = os.pathsep.join((str(PROGRAMS), variables.get("PATH", os.defpath)))
    return {**variables, **own, VARIABLES: json.dumps({name: variables.get(name) for name in own})}
