"""`python -m train EXPERIMENT [key=value …]`: train an experiment and write its artifact folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from handlers.formats.zip_file import printable
from train.core.config import ExperimentError
from train.core.experiment import Experiment, Staged, load, names
from train.core.run import Run, RunError, is_first_process


class Commands(TyperGroup):
    """Takes a first word that is not a command for an experiment: `train cartpole` means `train run cartpole`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Train models: `python -m train EXPERIMENT [key=value …]` runs all stages, each command one of them.",
)

Name = Annotated[str, typer.Argument(metavar="EXPERIMENT", help=f"{', '.join(names())}, or a YAML file of your own.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]…", help="Over what the file says.")]
Of = Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run, or an experiment: its newest run.")]
Output = Annotated[Path, typer.Option(help="The folder that holds artifact folders.")]
Runs = Annotated[Path, typer.Option(help="The folder that holds the runs.")]
RunName = Annotated[str | None, typer.Option("--run", help="The run's name; by default the current time.")]

ARTIFACTS = Path("artifacts")
RUNS = Path("runs")
MAX_LINE, MAX_LINES = 1_000, 60  # of an error


@app.command()
def run(
    experiment: Name,
    overrides: Overrides = None,
    output: Output = ARTIFACTS,
    runs: Runs = RUNS,
    name: RunName = None,
) -> None:
    """Train EXPERIMENT, test it, and write OUTPUT/<its name>, ready for `python -m archiver build`."""
    with clear_errors():
        configuration = load(experiment, overrides)
        folder = output / configuration.name
        if isinstance(configuration, Staged):
            finish(configuration, Run.create(runs, configuration, name), folder)
        else:
            configuration.run(folder)


@app.command()
def fit(experiment: Name, overrides: Overrides = None, runs: Runs = RUNS, name: RunName = None) -> None:
    """Only train EXPERIMENT: checkpoints and learning curves in a new run."""
    with clear_errors():
        configuration = staged(load(experiment, overrides))
        configuration.fit(Run.create(runs, configuration, name))


@app.command()
def resume(of: Of, output: Output = ARTIFACTS, runs: Runs = RUNS) -> None:
    """Continue an interrupted run from its last checkpoint up to the artifact."""
    with clear_errors():
        found = Run.find(runs, of)
        configuration = staged(load(str(found.configuration)))
        finish(configuration, found, output / configuration.name)


@app.command("test")
def measure(of: Of, overrides: Overrides = None, runs: Runs = RUNS) -> None:
    """Measure a run's best checkpoint on held-out data: RUN/test.json and RUN/plots."""
    with clear_errors():
        found = Run.find(runs, of)
        staged(load(str(found.configuration), overrides)).test(found)


@app.command()
def evaluate(
    experiment: Name,
    overrides: Overrides = None,
    output: Output = ARTIFACTS,
) -> None:
    """Measure the artifact OUTPUT/EXPERIMENT on held-out data again, and compare with its recorded scores."""
    with clear_errors():
        configuration = load(experiment, overrides)
        folder = output / configuration.name
        file = folder / "artifact.json"
        if not file.is_file():
            raise ExperimentError(f"no artifact {folder}; `python -m train {experiment}` makes it")
        recorded = json.loads(file.read_text(encoding="utf-8"))["metrics"]
        found = configuration.evaluate(folder)
        for name, value in found.items():
            typer.echo(
                f"{name}: {json.dumps(value)}"
                + ("" if value == recorded.get(name) else f"  (recorded: {json.dumps(recorded.get(name))})")
            )


@app.command()
def export(of: Of, overrides: Overrides = None, output: Output = ARTIFACTS, runs: Runs = RUNS) -> None:
    """Write a tested run's best checkpoint as an artifact folder."""
    with clear_errors():
        found = Run.find(runs, of)
        configuration = staged(load(str(found.configuration), overrides))
        configuration.export(found, output / configuration.name)


@app.command()
def augmentations(
    experiment: Name,
    overrides: Overrides = None,
    output: Annotated[Path, typer.Option(help="The image to write.")] = Path("augmentations.png"),
    count: Annotated[int, typer.Option(min=1, help="Samples, a row each.")] = 6,
) -> None:
    """Draw what EXPERIMENT's augmentation makes of its images, with boxes and masks."""
    with clear_errors():
        staged(load(experiment, overrides)).augmentations(output, count)
        print(f"{output}: the first column as it is, the others augmented")


def finish(configuration: Staged, into: Run, folder: Path) -> None:
    """All stages; after the training only the first process continues."""
    configuration.fit(into)
    if is_first_process():
        configuration.test(into)
        configuration.export(into, folder)
        print(f"{configuration.name}: run {into.folder}, artifact {folder}")


def staged(configuration: Experiment) -> Staged:
    if not isinstance(configuration, Staged):
        raise ExperimentError(
            f"system {configuration.system} has no stages: `python -m train {configuration.name}` does all at once"
        )
    return configuration


@contextmanager
def clear_errors() -> Iterator[None]:
    """Report an experiment's and the system's errors as one message and exit status 2; Ctrl-C as 130."""
    try:
        yield
    except (ExperimentError, RunError, ValidationError, OSError) as error:
        typer.echo(f"train: {for_terminal(told(error))}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def told(error: Exception) -> str:
    """The message of an error, also of one that torch brings from a loader process below that process's traceback."""
    message = str(error)
    _, found, own = message.rpartition(f"{type(error).__name__}: ")
    return own.strip() if found and message.startswith("Caught ") else message


def for_terminal(message: str) -> str:
    """A message of bounded length, without what would move the terminal's cursor: it can quote the user's data."""
    lines = [printable(line)[:MAX_LINE] for line in message.split("\n")]
    more = [f"… and {len(lines) - MAX_LINES} more lines"] if len(lines) > MAX_LINES else []
    return "\n".join(lines[:MAX_LINES] + more)


if __name__ == "__main__":
    app()
