"""The state of a GPU and its libraries before the measurements, as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.archives import SIZES, measured
from benchmarks.gpu.colours import differences
from benchmarks.gpu.machine import facts
from benchmarks.gpu.odd_files import cases, outcomes
from benchmarks.images import images


def probe(archives: Sequence[Path], device: torch.device) -> Iterator[str]:
    """Tables of the machine, of the decoders' colours, of unusual files, and of archives on CPU and device.

    A part that fails is replaced by the reason.
    """
    parts: tuple[Callable[[], str], ...] = (
        machine,
        partial(colours, device),
        partial(odd_files, device),
        partial(archives_table, archives, device),
    )
    for part in parts:
        try:
            yield part()
        except Exception as error:  # noqa: BLE001 - the other parts are of use whatever one does
            yield f"Not probed: {type(error).__name__}: {error}"


def machine() -> str:
    return table(("machine", ""), [list(item) for item in facts().items()])


def colours(device: torch.device) -> str:
    rows = [[one.decoder, f"{one.mean:.3f}", str(one.largest)] for one in differences(images(), device)]
    return table(("nvJPEG beside libjpeg-turbo, of 255 levels", "mean difference", "largest"), rows)


def odd_files(device: torch.device) -> str:
    return table(("JPEG", "CPU", "GPU"), [list(row) for row in outcomes(list(cases()), device)])


def archives_table(archives: Sequence[Path], device: torch.device) -> str:
    head = ("archive", "precision, graphs, decoder", "difference", *(f"batch of {size}, ms" for size in SIZES), "waits")
    return table(head, [archive_row(found) for found in measured(archives, device)])


def archive_row(found: dict[str, Any]) -> list[str]:
    """found: as `archives.measured` has it. Times are those of the CPU and of the device."""
    if "error" in found:
        return [found["model"], found["error"], *[""] * (len(SIZES) + 2)]
    runtime = found["runtime"]
    chosen = [runtime[name] for name in ("precision", "graphs", "decoder") if name in runtime]
    times = [f"{found['cpu_ms'][str(size)]:.1f}, {found['device_ms'][str(size)]:.1f}" for size in SIZES]
    difference = f"{found['difference']:.2g}" if found["same_fields"] else "other fields"
    return [
        found["model"],
        ", ".join(chosen),
        difference,
        *times,
        "" if found["waits"] is None else str(found["waits"]),
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
