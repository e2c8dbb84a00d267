"""`python -m train EXPERIMENT [key=value …]`: train an experiment and write its artifact folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from train.experiment import ExperimentError, load, names

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def train(
    experiment: Annotated[str, typer.Argument(help=f"One of {', '.join(names())}, or a YAML file of your own.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, over what the file says.")] = None,
    output: Annotated[Path, typer.Option(help="The folder that holds artifact folders.")] = Path("artifacts"),
) -> None:
    """Train EXPERIMENT and write OUTPUT/<its name>, ready for `python -m archiver build`."""
    try:
        configuration = load(experiment, overrides)
        configuration.run(output / configuration.name)
    except (ExperimentError, ValidationError) as error:
        typer.echo(f"train: {error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


if __name__ == "__main__":
    app()
