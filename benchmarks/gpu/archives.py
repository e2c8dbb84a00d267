"""`python -m benchmarks.gpu.archives ARCHIVE DEVICE`: an archive's handler on the CPU and on a device, side by side.

The precision, graphs and decoder that it chooses, the difference between its answers, its times, and how often a batch
waits for the device.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson
import torch

from benchmarks.handle import load
from handlers.formats.sample import SAMPLE_TYPES
from handlers.protocol.request import parse

PROJECT = Path(__file__).parents[2]
PATIENCE = 180.0  # seconds
SIZES = (1, 16)
SECONDS = 0.5  # of each measurement


def measured(archives: Sequence[Path], device: torch.device) -> Iterator[dict[str, Any]]:
    """One measurement of each archive, in a process of its own; `error` is the reason if there is none."""
    for archive in archives:
        command = [sys.executable, "-m", "benchmarks.gpu.archives", str(archive), str(device)]
        try:
            run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE, check=True)
            yield json.loads(run.stdout.splitlines()[-1])
        except subprocess.CalledProcessError as error:
            yield {"model": archive.stem, "error": (error.stderr.strip().splitlines() or ["no message"])[-1]}
        except subprocess.TimeoutExpired:
            yield {"model": archive.stem, "error": f"not measured within {PATIENCE:g} s"}


@torch.inference_mode()
def compare(archive: Path, device: torch.device) -> dict[str, Any]:
    """A measurement as JSON has it. Times are milliseconds of `predict` by batch size."""
    with tempfile.TemporaryDirectory(prefix="archive-") as temporary:
        cpu = load(archive, Path(temporary, "cpu"), max(SIZES))
        started = perf_counter()
        other = load(archive, Path(temporary, "device"), max(SIZES), device.index if device.type == "cuda" else None)
        seconds = perf_counter() - started
        first, second = numbers(answer(cpu)), numbers(answer(other))
        return {
            "model": archive.stem,
            "load_s": seconds,
            "runtime": orjson.loads(other.describe_handle())["runtime"],
            "same_fields": first.keys() == second.keys(),
            "difference": max((abs(first[key] - second[key]) for key in first.keys() & second.keys()), default=0.0),
            "cpu_ms": {size: milliseconds(cpu, size) for size in SIZES},
            "device_ms": {size: milliseconds(other, size) for size in SIZES},
            "waits": waits(other, max(SIZES)) if device.type == "cuda" else None,
        }


def items(handler: Any, size: int) -> list[Any]:
    """The archive's sample, decoded so many times."""
    sample = handler.artifact.sample
    row, headers = {"body": sample.read_bytes()}, {"content-type": SAMPLE_TYPES[sample.suffix]}
    [payload] = parse(row, headers, handler.input_type, handler.request_limits).payloads
    return [handler.decode(payload) for _ in range(size)]


def answer(handler: Any) -> Any:
    [item] = items(handler, 1)
    return orjson.loads(handler.encode(item, handler.predict([item])[0], "application/json").body)


def numbers(value: Any, path: str = "") -> dict[str, float]:
    """Path → number, of all numbers in a JSON value."""
    if isinstance(value, dict):
        return {key: number for name, one in value.items() for key, number in numbers(one, f"{path}.{name}").items()}
    if isinstance(value, list):
        return {key: number for i, one in enumerate(value) for key, number in numbers(one, f"{path}[{i}]").items()}
    return {path: float(value)} if isinstance(value, int | float) and not isinstance(value, bool) else {}


def milliseconds(handler: Any, size: int) -> float:
    """Of a batch, its outputs on the CPU."""
    decoded = items(handler, size)
    handler.predict(decoded)
    started, runs = perf_counter(), 0
    while perf_counter() - started < SECONDS:
        handler.predict(decoded)
        runs += 1
    return (perf_counter() - started) / runs * 1000


def waits(handler: Any, size: int) -> int:
    """How often a batch waits for the GPU, as torch warns of it."""
    decoded = items(handler, size)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            handler.predict(decoded)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)


if __name__ == "__main__":
    print(json.dumps(compare(Path(sys.argv[1]), torch.device(sys.argv[2]))))
