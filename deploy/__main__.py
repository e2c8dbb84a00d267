"""`python -m deploy serve|stop|status|tune|doctor`: the server of this checkout."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal, NoReturn

import typer
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from client import ClientError
from client.credentials import KEY_NAMES, Credentials
from deploy.admission import VARIABLE, Admission, admit
from deploy.archive import Archive, archives_in, newest
from deploy.building import Building
from deploy.configuration import PROJECT, run_folder
from deploy.container import serve as serve_in_container
from deploy.doctor import command as doctor_command
from deploy.edge.files import write as write_edge_files
from deploy.edge.process import keep as keep_edge
from deploy.edge.process import start as start_edge
from deploy.errors import DeployError
from deploy.models import TRAINING, Model, choose
from deploy.overview import command as status_command
from deploy.ports import HOST, Ports
from deploy.readiness import load
from deploy.report import PatientConsole, print_calls, print_models
from deploy.run_folder import ADMITTED, public_server, running, server_of
from deploy.supervision.process import SupervisorProcess
from deploy.torchserve import TorchServe, check_not_running, stop
from deploy.tuning.command import tune
from trust.signature import path_of
from zygote.libraries import libraries

RequireSigned = Annotated[
    Path | None,
    typer.Option(
        envvar=VARIABLE,
        metavar="KEYFILE",
        help="Public keys in PEM: only archives that one of their owners signed are served, or registered later.",
    ),
]

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
console = PatientConsole()
BEGAN = time.monotonic()
RUN = run_folder()


app.command()(tune)
app.command(cls=status_command.OPTIONS)(status_command.status)
app.command(cls=doctor_command.OPTIONS)(doctor_command.doctor)


@app.command()
def serve(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]…", help="All of the zoo if none is named.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once every model answers; ./scripts/stop ends it.")
    ] = False,
    zoo: Annotated[
        Literal["demo", "hub"],
        typer.Option(help="demo: small models of the checkout. hub: pretrained weights, fetched from their hubs."),
    ] = "demo",
    edge: Annotated[
        bool,
        typer.Option(
            "--edge", help="Put the edge before it: TLS, a key and a rate for each caller, REST and gRPC on one port."
        ),
    ] = False,
    train: Annotated[
        bool, typer.Option("--train", help="Train the demo models here instead of serving those of the checkout.")
    ] = False,
    port_offset: Annotated[int, typer.Option(help="Added to every port, for a second server on one machine.")] = 0,
    require_signed: RequireSigned = None,
) -> None:
    """Start TorchServe, build the archives that are missing meanwhile, and wait until every model has answered.

    With --require-signed nothing is trained or built: what serves are the archives that were signed.
    """
    signal.signal(signal.SIGTERM, interrupt)
    console.patient = detach
    try:
        chosen = choose(models or [], zoo)
        ports = Ports.shifted(port_offset)
        check_not_running(RUN)
        ports.check_free(edge)
        store, admission = chosen[0].store, None
        if require_signed:
            admission = admit([model.archive for model in chosen], RUN / ADMITTED, require_signed)
            store = admission.store
        else:
            prepare(chosen, train)
        server = TorchServe(
            store,
            RUN,
            ports,
            preload=libraries(*(model.task for model in chosen)),
            models=len(chosen),
            admission=admission,
        )
        try:
            supervisor = start(server, chosen, edge)
            if detach:
                supervisor.detach()
                console.print("./scripts/stop ends it; its logs are in .run/logs")
                return
            follow(supervisor)
        except BaseException:
            stop(RUN)
            raise
    except (DeployError, ClientError) as error:
        typer.echo(f"serve: {error}", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"serve: {error.strerror or error}: {error.filename or ''}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print("stopped")
        raise typer.Exit(130) from None


@app.command("stop")
def stop_command() -> None:
    """End the server and all its workers."""
    console.print("stopped" if stop(RUN) else "no server is running")


@app.command("keys")
def keys_command(
    rotate: Annotated[bool, typer.Option("--rotate", help="Make new keys; the old ones are refused at once.")] = False,
) -> None:
    """Say where the keys of the running server are, or make new ones."""
    try:
        server = server_of(RUN)
        if public_server(RUN) != server:
            raise DeployError("callers' keys are in secrets/clients.yaml; a change there counts within a second")
        if rotate:
            credentials = Credentials(server)
            for name in KEY_NAMES:
                credentials.renew(name, credentials.bearer(name))
        console.print(f"{'new keys are' if rotate else 'the keys are'} in {server.key_file}", soft_wrap=True)
    except (DeployError, ClientError) as error:
        typer.echo(f"keys: {error}", err=True)
        raise typer.Exit(1) from None


@app.command("run")
def run_command(
    store: Annotated[Path, typer.Option(help="Every archive in it is served.")] = PROJECT / "model_store",
    host: Annotated[str, typer.Option(help="Where all ports listen: a network of the edge's alone.")] = HOST,
    grace: Annotated[float, typer.Option(help="Seconds that draining may take.")] = 20.0,
    require_signed: RequireSigned = None,
    admitted: Annotated[
        Path | None,
        typer.Option(
            envvar="BUNDLE_ADMITTED", help="Where signed archives are copied to; by default in the run folder."
        ),
    ] = None,
) -> None:
    """Serve a folder of archives in the foreground, as a container's first process: drains on SIGTERM."""
    try:
        admission = Admission(store, admitted or RUN / ADMITTED, require_signed) if require_signed else None
        serve_in_container(store, RUN, host, grace, admission)
    except (DeployError, ClientError) as error:
        typer.echo(f"run: {error}", err=True)
        raise typer.Exit(1) from None


@app.command("install")
def install_command(
    store: Annotated[Path, typer.Option(help="Where archives are looked for, and go if there are none.")],
    archives: Annotated[Path, typer.Option(help="The folder of archives to copy.")],
) -> None:
    """Copy archives into a store that has none."""
    if archives_in(store):
        return
    for archive in archives_in(archives):
        # Hidden until it is whole: a server loads what is in its store.
        partial = store / f".{archive.name}.partial"
        shutil.copyfile(archive, partial)
        signature = path_of(archive)
        if signature.is_file():
            shutil.copyfile(signature, store / signature.name)
        partial.replace(store / archive.name)
        print(archive.name, flush=True)


@app.command("sbom")
def sbom_command() -> None:
    """Print a software bill of materials of what is installed here: CycloneDX 1.6, JSON."""
    from trust.environment import bill  # here, because no server needs it

    typer.echo(bill())


@app.command("configure")
def configure_command(
    secrets: Annotated[Path, typer.Option(help="clients.yaml, tls.crt, tls.key, grafana-password.")],
    edge: Annotated[Path, typer.Option(help="What Envoy reads.")],
    grafana: Annotated[Path, typer.Option(help="What Grafana reads.")],
    names: Annotated[str, typer.Option(envvar="EDGE_NAMES", help="Hosts in a self-made certificate.")] = "localhost",
    port: Annotated[int, typer.Option(envvar="EDGE_PORT", help="Of the edge, as callers see it.")] = Ports().edge,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and give the edge each new setting within a second.")
    ] = False,
) -> None:
    """Make the secrets a stack of containers lacks and write its edge's configuration."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    try:
        watched = write_edge_files(secrets, edge, grafana, names.split(","), port)
        while watch and not asked.wait(1):
            report = watched.refresh()
            if report:
                typer.echo(report)
    except DeployError as error:
        typer.echo(f"configure: {error}", err=True)
        raise typer.Exit(1) from None


@app.command("run-edge", hidden=True)
def keep_edge_command(
    models: list[str], run: Annotated[Path, typer.Option()], settings: Annotated[Path, typer.Option()]
) -> None:
    """What `serve --edge` leaves running beside TorchServe."""
    try:
        keep_edge(run, settings, models)
    except DeployError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def prepare(models: list[Model], train: bool) -> None:
    """Write the artifacts that are missing, with --train all of them, and say first how long it takes.

    A model whose archive is there without its artifact is served as it is.
    """
    untrained = [model for model in models if train or not (model.is_trained() or model.is_current())]
    if not untrained:
        return
    seconds = sum(TRAINING.get(model.name, 0) for model in untrained)
    if seconds >= 60:
        console.print(f"To train first: {', '.join(m.name for m in untrained)} (about {round(seconds / 60)} min)")
    for number, model in enumerate(untrained, 1):
        console.rule(f"[bold]{model.name}[/] ({number} of {len(untrained)})", align="left")
        started = time.monotonic()
        model.train()
        left = ", ".join(other.name for other in untrained[number:])
        console.print(f"{model.name}: {time.monotonic() - started:.0f} s; " + (f"next {left}" if left else "the last"))


def start(server: TorchServe, models: list[Model], with_edge: bool) -> SupervisorProcess:
    """Start the server and wait for every model's answer, showing which already do; what keeps it running."""
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
            ready = load(RUN, paths, tell, built=built)
    process = running(RUN)
    if process is None:
        raise DeployError("the server ended right after its models had answered")
    archives = [Archive.read(path) for path in paths]
    print_models(console, server.server, archives, ready, process)
    defaults = set(newest(archives).values())
    samples = {
        archive.name if archive in defaults else f"{archive.name}/{archive.version}": archive.sample(RUN / "samples")
        for archive in archives
        if archive.card
    }
    if with_edge:
        start_edge(RUN, server.ports, list(ready))
        console.print(f"The edge takes REST and gRPC at https://localhost:{server.ports.edge}", style="bold")
        console.print("Its callers and their keys are in secrets/clients.yaml")
    supervisor.admit()
    print_calls(console, public_server(RUN), samples, Path.cwd())
    return supervisor


def identity(path: Path) -> tuple[int, int] | None:
    """Of a file's content: another one once a new file has taken its place."""
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.is_file() else None


def follow(supervisor: SupervisorProcess) -> NoReturn:
    """Print what the supervisor reports, until the server is stopped from elsewhere."""
    console.print("Ctrl-C ends it; its logs are in .run/logs")
    for line in supervisor.reports():
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    raise DeployError("the server was stopped")


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    app()
