"""Runs worker.py, which loads an unpacked archive as a TorchServe worker would, in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("worker.py")
LOG_CHARACTERS = 2000


class LaunchError(Exception):
    """The worker died or was not done in time; the message has the end of what it said."""


def launch(job: dict[str, Any], temporary: Path, timeout: float) -> dict[str, Any]:
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
    with log_file.open("wb") as log:
        try:
            status = subprocess.run(
                [sys.executable, "-I", "-B", str(WORKER), str(job_file), str(report_file)],
                cwd=job["folder"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise LaunchError(f"not done after {timeout:g} s") from None
    if not report_file.is_file():
        output = log_file.read_text(encoding="utf-8", errors="replace").strip()
        raise LaunchError(f"died with status {status}; its last output:\n{output[-LOG_CHARACTERS:]}")
    report: dict[str, Any] = json.loads(report_file.read_text(encoding="utf-8"))
    return report
