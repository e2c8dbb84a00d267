"""All parsers under hostile inputs, each in a process of its own."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import IO, cast

from deploy.configuration import PROJECT
from tests.chaos.parser_process import READING, SECONDS
from tests.chaos.parsers import PARSERS
from zygote.process import PYTHON, Zygote

BY_COVERAGE = find_spec("atheris") is not None
# What takes long to import, once for all processes.
MODULES = (
    *(
        "torch",
        "torchvision",
        "torchaudio",
        "sklearn.datasets",
        "hypothesis",
        "pydantic",
        "soundfile",
        "psutil",
        "typer",
    ),
    *("google.protobuf.message", "grpc", "requests", "rich.progress", "yaml", "orjson", "PIL.Image"),
)
SCRIPT = PROJECT / "tests" / "chaos" / "parser_process.py"
STARTING = 120.0  # seconds for imports
LOOKING = 0.5


@dataclass
class ParserRun:
    """Of one parser. inputs: how many it read. findings: (what went wrong, input). restarts: of its process."""

    name: str
    inputs: int = 0
    hangs: int = 0
    peak: int = 0
    findings: list[tuple[str, bytes]] = field(default_factory=list)


def attack(
    name: str, folder: Path, seconds: float, seed: int, by: str, warm: Zygote, stopped: Callable[[], bool]
) -> ParserRun:
    """Read generated inputs for some seconds; a process that hangs or dies is a finding, and another goes on.

    warm: what the processes are forked from.
    """
    run, end, turn = ParserRun(name), time.monotonic() + seconds + STARTING, 0
    left = seconds
    while left > 0.5 and time.monotonic() < end and not stopped():
        current = folder / f"{name}-{by}-{turn}"
        left -= one_process(run, current, left, seed + turn, by, warm, stopped)
        turn += 1
    return run


def one_process(
    run: ParserRun, current: Path, seconds: float, seed: int, by: str, warm: Zygote, stopped: Callable[[], bool]
) -> float:
    """Seconds that it read for."""
    command = [str(PYTHON), str(SCRIPT), run.name, str(current)]
    command += ["--seconds", str(seconds), "--seed", str(seed), "--by", by]
    environment = {**os.environ, **warm.stand_in, "PYTHONPATH": str(PROJECT)}
    before, began = run.inputs, time.monotonic()
    with (current.with_suffix(".log")).open("wb") as log:
        process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    reader = Thread(target=take_all, args=(run, cast(IO[str], process.stdout), before), daemon=True)
    reader.start()
    try:
        while process.poll() is None:
            time.sleep(LOOKING)
            age = time.time() - current.stat().st_mtime if reading(current) else 0.0
            if stopped():
                return seconds
            if age > SECONDS:
                run.hangs += 1
                run.findings.append((f"no end within {SECONDS:g} s", reading(current)[len(READING) :]))
                return time.monotonic() - began
            if not current.exists() and time.monotonic() - began > STARTING:
                run.findings.append(("the process did not start", b""))
                return seconds
    finally:
        process.kill()
        process.wait()
        reader.join(5)
    if process.returncode:
        said = current.with_suffix(".log").read_text("utf-8", "replace").strip().splitlines()
        what = f"the process ended with status {process.returncode}: {said[-1][:120] if said else ''}"
        run.findings.append((what, reading(current)[len(READING) :]))
        return time.monotonic() - began
    return seconds


def reading(current: Path) -> bytes:
    """The input that a process is at, behind its mark; nothing between two inputs."""
    return current.read_bytes() if current.exists() else b""


def take_all(run: ParserRun, output: IO[str], before: int) -> None:
    for line in output:
        take(run, line, before)


def take(run: ParserRun, line: str, before: int) -> None:
    """One line of what a process writes."""
    try:
        value = json.loads(line)
    except ValueError:
        return
    if "what" in value:
        run.findings.append((value["what"], base64.b64decode(value["input"])))
    else:
        run.inputs, run.peak = before + value["inputs"], max(run.peak, value["peak"])


def ways(by_coverage: bool) -> Iterator[tuple[str, str]]:
    """(parser, how its inputs are found)."""
    for by in ("strategies", "coverage") if by_coverage else ("strategies",):
        for name in PARSERS:
            yield name, by
