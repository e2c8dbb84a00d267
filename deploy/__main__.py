"""`python -m deploy serve|stop|status|tune|doctor`: the server of this checkout."""

from __future__ import annotations

import shutil
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from client import ClientError
from client.credentials import KEY_NAMES, Credentials
from deploy.admission import Admission
from deploy.archive import archives_in
from deploy.configuration import PROJECT, run_folder
from deploy.doctor import command as doctor_command
from deploy.edge.files import write as write_edge_files
from deploy.edge.process import keep as keep_edge
from deploy.errors import DeployError
from deploy.kubernetes import edge as pod
from deploy.overview import command as status_command
from deploy.ports import HOST, Ports
from deploy.run_folder import ADMITTED, public_server, server_of, stop
from deploy.serving.command import Explain, RequireSigned, console, serve
from deploy.serving.container import serve as serve_in_container
from deploy.tuning.command import tune
from trust.signature import path_of

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
RUN = run_folder()


app.command()(serve)
app.command()(tune)
app.command(cls=status_command.OPTIONS)(status_command.status)
app.command(cls=doctor_command.OPTIONS)(doctor_command.doctor)


@app.command("stop")
def stop_command() -> None:
    """End the server and all its workers."""
    console.print("stopped" if stop(RUN) else "no server is running")


@app.command("keys")
def keys_command(
    rotate: Annotated[bool, typer.Option("--rotate", help="Make new keys; the old ones are refused at once.")] = False,
) -> None:
    """Print where the keys of the running server are, or make new ones."""
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
    host: Annotated[str, typer.Option(help="Address that all ports listen on; only the edge may reach it.")] = HOST,
    grace: Annotated[float, typer.Option(help="Longest time for draining, in seconds.")] = 20.0,
    require_signed: RequireSigned = None,
    admitted: Annotated[
        Path | None,
        typer.Option(
            envvar="BUNDLE_ADMITTED", help="Folder that signed archives are copied to; by default in the run folder."
        ),
    ] = None,
    explain: Explain = None,
) -> None:
    """Serve a folder of archives in the foreground, as a container's first process: drains on SIGTERM."""
    try:
        admission = Admission(store, admitted or RUN / ADMITTED, require_signed) if require_signed else None
        serve_in_container(store, RUN, host, grace, admission, explain or [])
    except (DeployError, ClientError) as error:
        typer.echo(f"run: {error}", err=True)
        raise typer.Exit(1) from None


@app.command("install")
def install_command(
    store: Annotated[Path, typer.Option(help="The model store; archives are copied there if it has none.")],
    archives: Annotated[Path, typer.Option(help="The folder of archives to copy.")],
) -> None:
    """Copy archives into a store that has none."""
    if archives_in(store):
        return
    for archive in archives_in(archives):
        # Hidden until it is complete, because a server loads whatever is in its store.
        partial = store / f".{archive.name}.partial"
        shutil.copyfile(archive, partial)
        signature = path_of(archive)
        if signature.is_file():
            shutil.copyfile(signature, store / signature.name)
        partial.replace(store / archive.name)
        print(archive.name, flush=True)


@app.command("sbom")
def sbom_command() -> None:
    """Print a software bill of materials of this installation, as CycloneDX 1.6 in JSON."""
    from trust.environment import bill  # here, because no server needs it

    typer.echo(bill())


@app.command("configure")
def configure_command(
    secrets: Annotated[Path, typer.Option(help="clients.yaml, tls.crt, tls.key, grafana-password.")],
    edge: Annotated[Path, typer.Option(help="What Envoy reads.")],
    grafana: Annotated[Path, typer.Option(help="What Grafana reads.")],
    names: Annotated[
        str, typer.Option(envvar="EDGE_NAMES", help="Host names in a self-signed certificate.")
    ] = "localhost",
    port: Annotated[int, typer.Option(envvar="EDGE_PORT", help="Of the edge, as callers see it.")] = Ports().edge,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep running, and pass changed settings on to the edge within a second.")
    ] = False,
) -> None:
    """Create the secrets that a stack of containers lacks, and write its edge's configuration."""
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


@app.command("configure-pod")
def configure_pod_command(
    settings: Annotated[Path, typer.Option(help="clients.yaml, tls.crt, tls.key: a Secret's folder.")],
    edge: Annotated[Path, typer.Option(help="Envoy's folder; it runs beside as the same user.")],
    server: Annotated[str, typer.Option(help="A DNS name that resolves to one address per server.")],
) -> None:
    """Write the configuration of an edge in a pod, pass on changed settings, and drain the edge at the end."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    try:
        watched, draining = pod.write(settings, edge, server), pod.Draining(edge)
        while not asked.wait(1):
            for report in (watched.refresh(), draining.look()):
                if report:
                    typer.echo(report)
    except DeployError as error:
        typer.echo(f"configure-pod: {error}", err=True)
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


if __name__ == "__main__":
    app()
