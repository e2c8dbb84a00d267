"""`python -m deploy serve`."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal, NoReturn

import typer

from client import ClientError
from deploy.admission import VARIABLE, admit
from deploy.configuration import run_folder
from deploy.errors import DeployError
from deploy.models import TRAINING, Model, choose, other_versions
from deploy.ports import Ports
from deploy.report import PatientConsole
from deploy.run_folder import ADMITTED, check_not_running, stop
from deploy.serving.startup import start
from deploy.supervision.process import SupervisorProcess
from deploy.torchserve import TorchServe
from deploy.tracing.settings import ENDPOINT, TRACES_ENDPOINT, Tracing
from zygote.libraries import libraries

RequireSigned = Annotated[
    Path | None,
    typer.Option(
        envvar=VARIABLE,
        metavar="KEYFILE",
        help="Public keys in PEM: only archives that one of their owners signed are served, or registered later.",
    ),
]

Explain = Annotated[
    list[str] | None,
    typer.Option(
        "--explain",
        envvar="BUNDLE_EXPLAIN",
        metavar="MODEL",
        help="Answer its /explanations as well, with a worker of their own; all: of every model that has them.",
    ),
]

Traces = Annotated[
    str | None,
    typer.Option(
        "--traces",
        metavar="URL",
        help="Send OpenTelemetry spans to this collector (OTLP over HTTP, such as http://localhost:4318); "
        "by default to that of OTEL_EXPORTER_OTLP_ENDPOINT, or nowhere.",
    ),
]

console = PatientConsole()


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]…", help="With all versions in the store; all of the zoo if none is named."),
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
    fetched: Annotated[
        list[str] | None,
        typer.Option(
            "--models",
            metavar="URL#sha256=…",
            help="Fetch an archive from s3, gs, az, hf, https, oci or file, and serve that; may be given again.",
        ),
    ] = None,
    port_offset: Annotated[int, typer.Option(help="Added to every port, for a second server on one machine.")] = 0,
    require_signed: RequireSigned = None,
    explain: Explain = None,
    traces: Traces = None,
) -> None:
    """Start TorchServe, build the archives that are missing meanwhile, and wait until every model has answered.

    With --require-signed nothing is trained or built: what serves are the archives that were signed.
    """
    signal.signal(signal.SIGTERM, interrupt)
    console.patient = detach
    run = run_folder()
    try:
        if traces:
            os.environ |= {ENDPOINT: traces, TRACES_ENDPOINT: ""}  # every process that follows goes by them
        Tracing.of(os.environ)  # what is wrong with them is said before anything is built
        if fetched and (models or train):
            other = ", ".join(models or ["--train"])
            raise DeployError(f"--models serves what it names, and nothing else; got {other} as well")
        chosen = fetch(fetched, require_signed) if fetched else choose(models or [], zoo)
        others, left_out = ([], []) if fetched else other_versions(models or [], chosen)
        for line in left_out:
            console.print(line, highlight=False, soft_wrap=True)
        ports = Ports.shifted(port_offset)
        check_not_running(run)
        ports.check_free(status=True, edge=edge)
        store, admission = chosen[0].store, None
        if not require_signed:
            prepare(chosen, train)
        chosen += others
        if require_signed:
            admission = admit([model.archive for model in chosen], run / ADMITTED, require_signed)
            store = admission.store
        server = TorchServe(
            store,
            run,
            ports,
            preload=libraries(*(model.task for model in chosen)),
            models=len(chosen),
            admission=admission,
        )
        try:
            supervisor = start(console, server, chosen, edge, explain or [])
            if detach:
                supervisor.detach()
                console.print("./scripts/stop ends it; its logs are in .run/logs")
                return
            follow(supervisor)
        except BaseException:
            stop(run)
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


def fetch(urls: list[str], keys: Path | None) -> list[Model]:
    """The models of archives that are somewhere else, once they are here. Raises DeployError."""
    from deploy.fetching.command import fetch_all  # here, because few servers need it

    return [Model(path.stem, "fetched") for path in fetch_all(urls, Model("", "fetched").store, keys)]


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


def follow(supervisor: SupervisorProcess) -> NoReturn:
    """Print what the supervisor reports, until the server is stopped from elsewhere."""
    console.print("Ctrl-C ends it; its logs are in .run/logs")
    for line in supervisor.reports():
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    raise DeployError("the server was stopped")


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
