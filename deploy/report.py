"""The report of a started server: a table of its models, and calls to paste."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from client import RestManagement, Server
from client.payload import BY_SUFFIX
from deploy.archive import Archive, newest


class PatientConsole(Console):
    """A console that, if `patient`, goes on silently when its reader has left, as in `serve --detach | head`.

    Otherwise the program ends, as usual.
    """

    patient = False

    def on_broken_pipe(self) -> None:
        if not self.patient:
            super().on_broken_pipe()
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def memory_of(pids: Sequence[int]) -> int:
    """Bytes of memory of these processes; shared pages are counted once if the system reports them (PSS)."""
    total = 0
    for pid in pids:
        try:
            info = psutil.Process(pid).memory_full_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        total += getattr(info, "pss", 0) or info.rss
    return total


@dataclass(frozen=True)
class Row:
    name: str
    version: str
    task: str
    device: str
    workers: int
    memory: int


def rows(server: Server, archives: Sequence[Archive]) -> list[Row]:
    """Of models with a card, as it says; of others without task and device."""
    with RestManagement(server) as management:
        found = [management.describe(archive.name, archive.version, card=bool(archive.card)) for archive in archives]
    return [
        Row(
            status.name,
            status.version,
            str((status.card or {}).get("task", "")),
            str((status.card or {}).get("runtime", {}).get("device", "")),
            len(status.workers),
            memory_of([worker.pid for worker in status.workers]),
        )
        for status in found
    ]


def print_models(
    console: Console, server: Server, archives: Sequence[Archive], ready: Mapping[str, float], process: psutil.Process
) -> None:
    """ready: seconds to each model's first answer, by name."""
    console.print(f"Serving at {server.inference} (REST) and {server.grpc} (gRPC)", style="bold", highlight=False)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("model", "version", "task", "workers", "memory", "ready"):
        table.add_column(column, justify="right" if column in ("memory", "ready") else "left", no_wrap=True)
    names = [archive.name for archive in archives]
    defaults = newest(archives)
    for row in rows(server, archives):
        memory, seconds = f"{row.memory / 2**20:.0f} MiB", f"{ready[row.name]:.0f} s"
        workers = f"{row.workers} × {row.device}" if row.device else str(row.workers)
        default = names.count(row.name) > 1 and defaults[row.name].version == row.version
        version = f"{row.version} (default)" if default else row.version
        table.add_row(row.name, version, row.task, workers, memory, seconds)
    table.add_row("(server)", "", "TorchServe", "", f"{memory_of([process.pid]) / 2**20:.0f} MiB", "")
    console.print(table)


def print_calls(console: Console, server: Server, samples: Mapping[str, Path], folder: Path) -> None:
    """One REST and one gRPC call for each model that brings a sample; the key stays in its file.

    samples: by a model's name, or, of a version that is not the default one, name/version.
    """
    lines = []
    if server.key_file:
        keys = json.dumps(str(below(server.key_file, folder)))
        read = f'import json; print(json.load(open({keys}))["inference"]["key"])'
        lines += [f"KEY=$(python3 -c {shlex.quote(read)})", ""]
    trust = f"--cacert {shlex.quote(str(below(server.ca_file, folder)))} " if server.ca_file else ""
    for name, sample in samples.items():
        path = shlex.quote(str(below(sample, folder)))
        header = f"-H 'Content-Type: {BY_SUFFIX[sample.suffix]}'"
        auth = '-H "Authorization: Bearer $KEY"'
        lines.append(f"curl {trust}{auth} {header} --data-binary @{path} {server.inference}/predictions/{name}")
        model, _, version = name.partition("/")
        asked = f" --version {version}" if version else ""
        lines.append(f"./scripts/predict {model} {path} --grpc{asked}")
    console.print("Call them:", style="bold")
    # Plain and unwrapped, so that a line can be copied whole.
    console.print("\n".join(f"  {line}" for line in lines), highlight=False, markup=False, soft_wrap=True)


def below(path: Path, folder: Path) -> Path:
    """The path relative to the current folder if it lies below it."""
    return path.relative_to(folder) if path.is_relative_to(folder) else path
