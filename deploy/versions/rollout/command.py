"""`./bundle deploy rollout|resume|abort`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from deploy.archive import Archive
from deploy.configuration import PROJECT, run_folder
from deploy.errors import DeployError
from deploy.versions.fleet import targets
from deploy.versions.options import AsJson, FleetFile, Model, OverGrpc, Report, Settings, reported
from deploy.versions.registration import check_new, to_copy
from deploy.versions.rollout import report as rollout_report
from deploy.versions.rollout.controller import Controller
from deploy.versions.rollout.judge import ENOUGH
from deploy.versions.rollout.state import Phase, Plan, State, StateFile
from deploy.versions.target import Target

FOLDER = "rollouts"  # in the run folder
TAKEN_BACK = 4
SHADOW = 60.0


def rollout(
    model: Model,
    archive: Annotated[Path, typer.Argument(help="The .mar file of the new version.")],
    steps: Annotated[str, typer.Option(help="Percentages of the calls that it gets, step by step.")] = "1,10,50,100",
    hold: Annotated[float, typer.Option(min=3, help="Minimum duration of each step in seconds.")] = 60.0,
    patience: Annotated[
        float,
        typer.Option(min=1, help="Maximum duration of each step in seconds, if there are too few calls to judge by."),
    ] = 1800.0,
    max_error_ratio: Annotated[float, typer.Option(min=0.001, max=1, help="Tolerated ratio of failed calls.")] = 0.05,
    max_p99: Annotated[
        float | None,
        typer.Option(min=1, metavar="MS", help="Tolerated 99th percentile of latency at the edge, in milliseconds."),
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="First let both versions answer copies of calls, and compare the answers.")
    ] = False,
    shadow_seconds: Annotated[
        float, typer.Option(min=1, help="Minimum duration of the shadow phase in seconds.")
    ] = SHADOW,
    min_agreement: Annotated[
        float, typer.Option(min=0, max=1, help="Required agreement of the shadow phase's answers, from 0 to 1.")
    ] = 0.95,
    sticky: Annotated[
        str | None,
        typer.Option(metavar="HEADER", help="Keep each caller on one version by this header, as `split` does."),
    ] = None,
    verify: Annotated[bool, typer.Option(help="First verify the archive like `./bundle verify`.")] = True,
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Bring a new version into service step by step; it is rolled back automatically if it does worse than the old one.

    At each step, sequential tests compare the errors, latency and predicted classes of both versions. At the end the
    old one is drained and unregistered. After Ctrl-C everything stays as it is: `resume` continues, `abort` rolls back.
    Exit status 4: the new version was rolled back. Example: `./bundle deploy rollout imagenet
    model_store/imagenet-2.mar --shadow`.
    """
    said = Report(json)
    with reported("rollout"):
        plan = Plan(
            percentages(steps),
            hold,
            patience,
            max_error_ratio,
            max_p99,
            shadow_seconds if shadow else 0.0,
            min_agreement,
            sticky,
        )
        found, file = targets(fleet, settings, grpc), state_file(model)
        with file.locked():
            state = begun(found, file, model, archive.resolve(), plan)
            if verify and Archive.read(archive).card:
                said.tell(f"verifying {archive.name}")
                check(archive)
            file.write(state)
            run(found, file, state, said)


def resume(
    model: Model,
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Continue an interrupted rollout at the step where it stopped."""
    said = Report(json)
    with reported("resume"):
        file = state_file(model)
        with file.locked():
            run(targets(fleet, settings, grpc), file, unfinished(file), said)


def abort(
    model: Model,
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Roll back an unfinished rollout."""
    said = Report(json)
    with reported("abort"):
        file = state_file(model)
        with file.locked():
            state = unfinished(file)
            state.phase, state.reason = Phase.ROLL_BACK, state.reason or "abort was called"
            run(targets(fleet, settings, grpc), file, state, said, 0)


def percentages(steps: str) -> tuple[float, ...]:
    try:
        found = tuple(float(each) for each in steps.split(","))
    except ValueError:
        raise DeployError(f"--steps: got {steps!r}, wanted percentages such as 1,10,50,100") from None
    if list(found) != sorted(set(found)) or not 0 < found[0] <= found[-1] <= 100:
        raise DeployError(f"--steps: got {steps}, wanted increasing percentages above 0, up to 100")
    return found


def state_file(model: str) -> StateFile:
    return StateFile(run_folder() / FOLDER, model)


def begun(found: list[Target], file: StateFile, model: str, archive: Path, plan: Plan) -> State:
    """Start a new rollout. Raises DeployError if one is unfinished or the archive is not a new version of the model."""
    last = file.read()
    if last and not last.phase.is_end:
        raise DeployError(
            f"the rollout of {model} {last.new} is unfinished; `resume` continues it, `abort` rolls it back"
        )
    new = Archive.read(archive)
    if new.name != model:
        raise DeployError(f"{archive.name} contains the model {new.name}, not {model}")
    old = set()
    for target in found:
        if not target.log or not target.settings:
            raise DeployError(f"{target.name}: a rollout needs an edge and its access log")
        check_new(target, new)
        to_copy(archive, target)  # raises if it has a different file of that name
        with target.management() as management:
            old.add(management.describe(model).version)
    if len(old) > 1:
        raise DeployError(f"the servers have different default versions of {model}: {', '.join(sorted(old))}")
    return State(model, old.pop(), new.version, str(archive), plan, started=time.time())


def unfinished(file: StateFile) -> State:
    state = file.read()
    if state is None or state.phase.is_end:
        raise DeployError(f"{file.model} has no unfinished rollout")
    return state


def check(archive: Path) -> None:
    """Raise DeployError if the verification fails."""
    done = subprocess.run(
        [sys.executable, "-m", "archiver", "verify", str(archive)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DeployError(f"{archive.name} fails its verification:\n{done.stdout}{done.stderr}".rstrip())


def run(found: list[Target], file: StateFile, state: State, said: Report, taken_back: int = TAKEN_BACK) -> None:
    """Run to the end, with a live table on a terminal; then report. taken_back: exit status after a rollback."""
    with Live(console=said.console, auto_refresh=False, transient=True) as live:
        try:
            end = Controller(found, file, state, said.tell, lambda now: live.update(table(now), refresh=True)).run()
        except KeyboardInterrupt:
            said.tell(f"interrupted; `./bundle deploy resume {state.model}` continues, `abort` rolls back")
            raise
    page = rollout_report.write(end, file.path.parent)
    said.result(rollout_report.summary(end), lambda console: console.print(table(end)))
    said.tell(f"report: {page}")
    if end.phase is Phase.ROLLED_BACK:
        raise typer.Exit(taken_back)


def table(state: State) -> Table:
    made = Table("", "calls", "failed", "refused", "p50", "p99", title=title(state), box=None, pad_edge=False)
    summary: dict[str, Any] = rollout_report.summary(state)
    for name in ("new", "old"):
        each = summary[name]
        cells = (each["calls"], each["failed"], each["refused"], f"{each['p50_ms']:g} ms", f"{each['p99_ms']:g} ms")
        made.add_row(f"{each['version']} ({name})", *map(str, cells))
    return made


def title(state: State) -> str:
    if state.phase is Phase.STEPS and state.timeline:
        last = state.timeline[-1]
        evidence = ", ".join(f"{name} {value:.1f}" for name, value in last["evidence"].items())
        return f"{state.model} {state.new} at {last['share']:g} %; evidence against it, of {ENOUGH:.1f}: {evidence}"
    return f"{state.model} {state.new}: {state.phase}{f', {state.reason}' if state.reason else ''}"
