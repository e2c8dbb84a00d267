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
    archive: Annotated[Path, typer.Argument(help="The new version, a .mar file.")],
    steps: Annotated[str, typer.Option(help="Percent of the calls that it gets, one after the other.")] = "1,10,50,100",
    hold: Annotated[float, typer.Option(min=3, help="Seconds of each step at least.")] = 60.0,
    patience: Annotated[
        float, typer.Option(min=1, help="Seconds of each step at most, until there are enough calls to judge by.")
    ] = 1800.0,
    max_error_ratio: Annotated[float, typer.Option(min=0.001, max=1, help="Of its calls that fail.")] = 0.05,
    max_p99: Annotated[float | None, typer.Option(min=1, metavar="MS", help="Milliseconds, at the edge.")] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="First let both versions answer copies of calls, and compare.")
    ] = False,
    shadow_seconds: Annotated[float, typer.Option(min=1, help="How long, at least.")] = SHADOW,
    min_agreement: Annotated[float, typer.Option(min=0, max=1, help="Of those answers.")] = 0.95,
    sticky: Annotated[
        str | None, typer.Option(metavar="HEADER", help="A caller stays with one version, as with `split`.")
    ] = None,
    verify: Annotated[bool, typer.Option(help="First verify the archive as `./bundle verify` does.")] = True,
    fleet: FleetFile = None,
    settings: Settings = None,
    grpc: OverGrpc = False,
    json: AsJson = False,
) -> None:
    """Bring a new version into service step by step; it is taken back by itself where it does worse than the old one.

    At each step errors, latency and predicted classes of both are compared by sequential tests. In the end the old one
    drains and is unregistered. After Ctrl-C all stays as it is: `resume` goes on, `abort` takes the new version back.
    Exit status 4: it was taken back. `./bundle deploy rollout imagenet model_store/imagenet-2.mar --shadow`.
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
    """Go on with a rollout whose command has ended, at the step where it was."""
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
    """Take the new version of an unfinished rollout back."""
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
        raise DeployError(f"--steps: got {steps}, wanted percentages from above 0 to 100, each larger than the last")
    return found


def state_file(model: str) -> StateFile:
    return StateFile(run_folder() / FOLDER, model)


def begun(found: list[Target], file: StateFile, model: str, archive: Path, plan: Plan) -> State:
    """A new rollout. DeployError where one is unfinished, or the archive is not a new version of the model."""
    last = file.read()
    if last and not last.phase.is_end:
        raise DeployError(f"the rollout of {model} {last.new} is unfinished; `resume` goes on, `abort` takes it back")
    new = Archive.read(archive)
    if new.name != model:
        raise DeployError(f"{archive.name} holds the model {new.name}, and not {model}")
    old = set()
    for target in found:
        if not target.log or not target.settings:
            raise DeployError(f"{target.name}: a rollout needs an edge and the log of its calls")
        check_new(target, new)
        to_copy(archive, target)  # or it has another file of that name
        with target.management() as management:
            old.add(management.describe(model).version)
    if len(old) > 1:
        raise DeployError(f"the servers have different default versions of {model}: {', '.join(sorted(old))}")
    return State(model, old.pop(), new.version, str(archive), plan, started=time.time())


def unfinished(file: StateFile) -> State:
    state = file.read()
    if state is None or state.phase.is_end:
        raise DeployError(f"no rollout of {file.model} is unfinished")
    return state


def check(archive: Path) -> None:
    """DeployError where the verification finds a fault."""
    done = subprocess.run(
        [sys.executable, "-m", "archiver", "verify", str(archive)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DeployError(f"{archive.name} does not pass its verification:\n{done.stdout}{done.stderr}".rstrip())


def run(found: list[Target], file: StateFile, state: State, said: Report, taken_back: int = TAKEN_BACK) -> None:
    """To the end, with a table that changes in place on a terminal; then the report. taken_back: exit status."""
    with Live(console=said.console, auto_refresh=False, transient=True) as live:
        try:
            end = Controller(found, file, state, said.tell, lambda now: live.update(table(now), refresh=True)).run()
        except KeyboardInterrupt:
            said.tell(f"stopped as it is; `./bundle deploy resume {state.model}` goes on, `abort` takes it back")
            raise
    page = rollout_report.write(end, file.path.parent)
    said.result(rollout_report.summary(end), lambda console: console.print(table(end)))
    said.tell(f"the report is {page}")
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
