"""Runs worker.py, which loads an unpacked archive as a TorchServe worker would, in a process of its own.

That is a fork of this process's warm one, which has imported torch, or a fresh interpreter where there is none.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archiver.verification.warm_process import FLAGS, Warm
from zygote.client import Job, Unreachable
from zygote.libraries import libraries

logger = logging.getLogger(__name__)

WORKER = Path(__file__).with_name("worker.py")
LOG_CHARACTERS = 2000
WARM = Warm()


class WorkerError(Exception):
    """The worker died or was not done in time; the message has the end of what it said."""


def run_worker(job: dict[str, Any], temporary: Path, timeout: float) -> dict[str, Any]:
    """The worker's report on `job`: see worker.py. temporary: a folder of its own. timeout: seconds."""
    job_file, report_file, log_file = (temporary / name for name in ("job.json", "report.json", "log.txt"))
    job_file.write_text(json.dumps(job), encoding="utf-8")
    # An archive brings all it needs: no hub, and no cache of one.
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(temporary / "no-hub"),
        "TORCH_HOME": str(temporary / "no-hub"),
    }
    arguments = [str(WORKER), str(job_file), str(report_file)]
    with log_file.open("wb") as log:
        try:
            status = forked(arguments, job, environment, log.fileno(), timeout)
        except Unreachable as error:
            logger.warning("%s; a fresh interpreter takes over", error)
            status = fresh(arguments, job["folder"], environment, log.fileno(), timeout)
    if not report_file.is_file():
        output = log_file.read_text(encoding="utf-8", errors="replace").strip()
        raise WorkerError(f"died with status {status}; its last output:\n{output[-LOG_CHARACTERS:]}")
    report: dict[str, Any] = json.loads(report_file.read_text(encoding="utf-8"))
    return report


def forked(
    arguments: Sequence[str], job: Mapping[str, Any], environment: Mapping[str, str], log: int, timeout: float
) -> int:
    """The exit status of a fork of the warm process. Raises Unreachable; WorkerError when it is not done in time."""
    with Path(os.devnull).open("rb") as nothing:
        files = (nothing.fileno(), log, log)
        worker = Job(
            WARM.address(environment), arguments, job["folder"], environment, files, libraries(job.get("task", ""))
        )
    try:
        return worker.wait(timeout)
    except TimeoutError:
        raise WorkerError(f"not done after {timeout:g} s") from None
    finally:
        worker.end()


def fresh(arguments: Sequence[str], folder: str, environment: Mapping[str, str], log: int, timeout: float) -> int:
    """The exit status of an interpreter of its own. Raises WorkerError when it is not done in time."""
    try:
        return subprocess.run(
            [sys.executable, *FLAGS, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        raise WorkerError(f"not done after {timeout:g} s") from None
