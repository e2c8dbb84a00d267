"""Runs worker.py, which loads an unpacked archive as a TorchServe worker would, in its own process.

This is a fork of the warm process, which has imported torch, or a fresh interpreter if there is no warm process.
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

from archiver.verification.warm_process import FLAGS, WarmProcess
from zygote.client import Job, Unreachable
from zygote.libraries import libraries

logger = logging.getLogger(__name__)

WORKER = Path(__file__).with_name("worker.py")
LOG_CHARACTERS = 2000  # of the end of a dead worker's output, for its error
WARM = WarmProcess()


class WorkerError(Exception):
    """The worker died, or did not finish in time. If it died, the message has the end of its output."""


def run_worker(job: dict[str, Any], temporary: Path, timeout: float) -> dict[str, Any]:
    """Run a job and return the worker's report; worker.py has the keys of both. Raises WorkerError.

    temporary: a folder for the worker's files. timeout: in seconds.
    """
    job_file, report_file, log_file = (temporary / name for name in ("job.json", "report.json", "log.txt"))
    job_file.write_text(json.dumps(job), encoding="utf-8")
    # An archive must contain everything that it needs, so the worker has no access to a hub or its cache.
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
        raise WorkerError(f"died with exit status {status}; its last output:\n{output[-LOG_CHARACTERS:]}")
    report: dict[str, Any] = json.loads(report_file.read_text(encoding="utf-8"))
    return report


def forked(
    arguments: Sequence[str], job: Mapping[str, Any], environment: Mapping[str, str], log: int, timeout: float
) -> int:
    """The exit status of a fork of the warm process. Raises Unreachable without one, and WorkerError on timeout."""
    with Path(os.devnull).open("rb") as nothing:
        files = (nothing.fileno(), log, log)
        worker = Job(
            WARM.address(environment), arguments, job["folder"], environment, files, libraries(job.get("task", ""))
        )
    try:
        return worker.wait(timeout)
    except TimeoutError:
        raise overdue(timeout) from None
    finally:
        worker.end()


def fresh(arguments: Sequence[str], folder: str, environment: Mapping[str, str], log: int, timeout: float) -> int:
    """The exit status of a fresh interpreter. Raises WorkerError on timeout."""
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
        raise overdue(timeout) from None


def overdue(timeout: float) -> WorkerError:
    return WorkerError(f"did not finish within {timeout:g} s")
