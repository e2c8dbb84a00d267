"""`python -m benchmarks.surfaces ARCHIVE…`: processor time of a request in each form, beside /predictions.

A server with one worker of each model; the forms take turns, a sample at a time, and the processor time is that of the
server's processes and, over gRPC in KServe's v2 protocol, of the service beside it. What else the machine does costs
none of it.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Annotated

import psutil
import typer

from benchmarks.surfaces.forms import Form, channel, forms
from benchmarks.surfaces.service import serve_status
from client import RestClient
from deploy.archive import Archive
from deploy.ports import HOST, Ports
from deploy.processes import family
from deploy.readiness import load
from deploy.run_folder import state_of
from deploy.torchserve import TorchServe

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def seconds(processes: Iterable[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


def turns(found: list[Form], processes: list[psutil.Process], rounds: int, requests: int) -> dict[str, list[float]]:
    """Milliseconds of processor time of a request in each round, by the form's name."""
    costs: dict[str, list[float]] = {form.name: [] for form in found}
    for number in range(rounds + 1):
        for form in found:
            before = seconds(processes)
            for _ in range(requests):
                form.send()
            if number:  # the first warms up
                costs[form.name].append((seconds(processes) - before) / requests * 1000)
    return costs


@app.command()
def surfaces(
    archives: Annotated[list[Path], typer.Argument(metavar="ARCHIVE…")],
    rounds: Annotated[int, typer.Option(help="Each form is measured once a round.")] = 9,
    requests: Annotated[int, typer.Option(help="Of a form in a round.")] = 100,
) -> None:
    """Print a table of costs."""
    print("| model | form | processor time, ms | beside | ratio |\n|---|---|---|---|---|")
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        run, ports = Path(folder, "run"), Ports.free()
        with TorchServe(archives[0].resolve().parent, run, ports, models=len(archives)) as server:
            load(server.run, archives)
            status = context.Process(target=serve_status, args=(server.run, server.store, ports))
            status.start()
            with RestClient(server.server) as client:
                key = client._credentials.bearer("inference") or ""
            processes = [*family(state_of(server.run)), psutil.Process(status.pid)]
            try:
                with channel(server.server.grpc) as one, channel(f"{HOST}:{ports.open_inference}") as other:
                    for archive in map(Archive.read, archives):
                        sample = archive.sample(Path(folder, "samples"))
                        made = forms(archive.name, archive.task, sample, server.server.inference, one, other, key)
                        costs = turns(made, processes, rounds, requests)
                        for form in made:
                            ratio = median(
                                each / base for each, base in zip(costs[form.name], costs[form.beside], strict=True)
                            )
                            cost = median(costs[form.name])
                            print(
                                f"| {archive.name} | {form.name} | {cost:.2f} | {form.beside} | {ratio:.2f} |",
                                flush=True,
                            )
            finally:
                status.terminate()
                status.join()


if __name__ == "__main__":
    app()
