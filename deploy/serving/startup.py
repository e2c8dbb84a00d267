"""A server on its way up: shows which models already answer, while archives are still being built."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from deploy.archive import Archive, newest
from deploy.building import Building
from deploy.edge.process import start as start_edge
from deploy.errors import DeployError
from deploy.models import Model
from deploy.ports import HOST
from deploy.readiness import load
from deploy.report import print_calls, print_models
from deploy.run_folder import public_server, running
from deploy.supervision.process import SupervisorProcess
from deploy.surface import page_files
from deploy.torchserve import TorchServe

BEGAN = time.monotonic()


def start(
    console: Console, server: TorchServe, models: list[Model], with_edge: bool, explain: Sequence[str] = ()
) -> SupervisorProcess:
    """Start the server and wait for every model's answer, showing which already do; what keeps it running.

    explain: the models whose explanations are asked for, as `readiness.load` takes them.
    """
    paths = [server.store / model.archive.name for model in models]
    states: dict[str, str] = {}

    def tell(stem: str, state: str) -> None:
        states[stem] = state
        if state == "ready":
            console.print(f"[green]{stem} answers[/] after {time.monotonic() - BEGAN:.0f} s", highlight=False)

    def table() -> Table:
        grid = Table.grid(padding=(0, 2))
        for stem, state in states.items():
            if state != "ready":
                grid.add_row(stem, state)
        grid.add_row(Spinner("dots"), f"{time.monotonic() - BEGAN:.0f} s")
        return grid

    stale = [] if server.admission else [model for model in models if not model.is_current()]
    before = {model.archive: identity(model.archive) for model in stale}
    if stale:
        console.print(f"Building {', '.join(model.name for model in stale)}; each is served as soon as it is verified")
    with Building(stale, lambda line: console.print(line, highlight=False, soft_wrap=True)) as building:

        def built(archive: Path) -> bool:
            building.check()
            return building.done or archive not in before or identity(archive) != before[archive]

        server.store.mkdir(parents=True, exist_ok=True)
        supervisor = SupervisorProcess(server)
        with Live(get_renderable=table, console=console, refresh_per_second=5, transient=True):
            ready = load(server.run, paths, tell, built=built, explain=explain)
    process = running(server.run)
    if process is None:
        raise DeployError("the server ended right after its models had answered")
    archives = [Archive.read(path) for path in paths]
    print_models(console, server.server, archives, ready, process)
    defaults = set(newest(archives).values())
    folder = server.run / "samples"
    samples = {
        archive.name if archive in defaults else f"{archive.name}/{archive.version}": archive.sample(folder)
        for archive in archives
        if archive.card
    }
    if with_edge:
        start_edge(server.run, server.ports, list(ready))
        console.print(f"The edge takes REST and gRPC at https://localhost:{server.ports.edge}", style="bold")
        console.print("Its callers and their keys are in secrets/clients.yaml")
    supervisor.admit()
    print_calls(console, public_server(server.run), samples, Path.cwd())
    address = f"https://localhost:{server.ports.edge}" if with_edge else f"http://{HOST}:{server.ports.status}"
    console.print(f"Try them in a browser, with a key: {address}{page_files.PREFIX}", style="bold", highlight=False)
    return supervisor


def identity(path: Path) -> tuple[int, int] | None:
    """Of a file's content: another one once a new file has taken its place."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.is_file() else None
