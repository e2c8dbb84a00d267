"""The environment variables of a server's workers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.cgroup import cores
from deploy.errors import DeployError
from deploy.gpu.device import Device
from deploy.gpu.environment import of_workers
from deploy.run_folder import BYTECODE, DEATHS
from deploy.tracing.settings import worker_variables
from zygote.shared_file import FOLDER as RECORDS

DRIFT_SHARE = "BUNDLE_DRIFT_SHARE"
# glibc returns a freed large block to the system at once, although a worker needs the next one a moment later: images
# are decoded faster into memory that is kept. 32 MiB is the highest threshold that glibc accepts.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)}
# Java waits for requests most of the time. glibc trims the free end of a thread's heap only when it exceeds the second
# threshold, so after a burst of large requests each of a dozen threads would keep as much. Fixed values also keep glibc
# from raising both to the size of the largest block that was freed.
JAVA_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 20)}


def environment(run: Path, temporary: Path, gpus: Sequence[Device] = ()) -> dict[str, str]:
    """This process's variables, changed so that workers import nothing from the checkout and contact nobody outside."""
    inherited = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "TS_CONFIG_FILE")}
    check_share(inherited)
    return {
        **inherited,
        "LOG_LOCATION": str(run / "logs"),
        RECORDS: str(run / DEATHS),
        "METRICS_LOCATION": str(run / "logs"),
        "TEMP": str(temporary),
        "TMPDIR": str(temporary),
        "HF_HUB_OFFLINE": "1",
        "ORT_DISABLE_TELEMETRY": "1",  # for archives without our handlers; ours set it themselves
        "BUNDLE_BYTECODE": str(run / BYTECODE),  # handlers/torchserve/bytecode.py
        "PYTHONUNBUFFERED": "1",
        # The cores that a worker may use while no other computes; torch does not know a container's limit.
        "OMP_NUM_THREADS": inherited.get("OMP_NUM_THREADS", str(cores())),
        **{name: inherited.get(name, value) for name, value in ALLOCATOR.items()},
        **of_workers(gpus, inherited),
        **worker_variables(inherited),
    }


def allocator_of_java() -> dict[str, str]:
    """JAVA_ALLOCATOR, or the user's own values."""
    return {name: os.environ.get(name, value) for name, value in JAVA_ALLOCATOR.items()}


def check_share(variables: Mapping[str, str]) -> None:
    """Raises DeployError if the share of time for counting drift (handlers/drift/monitor.py) is not from 0 to 1."""
    value = variables.get(DRIFT_SHARE, "0")
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise DeployError(f"{DRIFT_SHARE}: got {value[:40]!r}, wanted a number from 0 to 1")
