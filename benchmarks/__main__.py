"""`./scripts/bench`: how fast ours is beside the bare model, stock TorchServe and its peers, in one run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.comparison import Comparison
from benchmarks.in_process import classification
from benchmarks.models import HEAVY, LIGHT
from benchmarks.plot import plot
from benchmarks.systems.bentoml import BentoML, FastBentoML
from benchmarks.systems.litserve import FastLitServe, LitServe
from benchmarks.systems.system import System
from benchmarks.systems.torchserve import Bundle, BundleGrpc, Stock, StockScript
from benchmarks.table import table

OURS: list[type[System]] = [Bundle, BundleGrpc]
STOCK: list[type[System]] = [Stock, StockScript]
PEERS: list[type[System]] = [LitServe, FastLitServe, BentoML, FastBentoML]
MODELS = {model.name: model for model in (LIGHT, HEAVY)}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console()


@app.command()
def bench(
    models: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(MODELS)}; both if none is named.")] = None,
    concurrency: Annotated[str, typer.Option(help="Requests at once, a list.")] = "1,8,32",
    rounds: Annotated[int, typer.Option(help="Each system is measured once a round.")] = 5,
    seconds: Annotated[float, typer.Option(help="Of each measurement.")] = 6.0,
    peers: Annotated[bool, typer.Option(help="LitServe and BentoML as well.")] = True,
    constant: Annotated[bool, typer.Option(help="Also at a constant rate, so that waiting counts.")] = True,
    output: Annotated[Path, typer.Option(help="Measurements as JSON, tables and plots.")] = Path("bench"),
) -> None:
    """Measure systems in turns; write OUTPUT/<model>.json, .md and .png. Close other programs first."""
    processes = len(os.sched_getaffinity(0))
    output.mkdir(parents=True, exist_ok=True)
    for name in models or list(MODELS):
        if name not in MODELS:
            raise typer.BadParameter(f"{name!r}; there are {', '.join(MODELS)}")
        classifier = MODELS[name]
        kinds = [*OURS, *STOCK, *(PEERS if peers else [])]
        limits = [
            classification(classifier, way, size, processes) for way, size in (("usual", 1), ("fast", 1), ("fast", 4))
        ]
        systems = [kind(classifier, processes) for kind in kinds]
        sizes = [int(size) for size in concurrency.split(",")]
        comparison = Comparison(classifier, systems, limits, sizes, rounds, seconds, constant=constant)
        with console.status("") as status:
            found, static_costs = comparison.run(status.update)
        record = {
            "measurements": [measurement.to_dict() for measurement in found],
            "static_costs": [vars(one) for one in static_costs],
        }
        (output / f"{name}.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
        text = table(found, static_costs)
        (output / f"{name}.md").write_text(text, encoding="utf-8")
        plot(found, output / f"{name}.png")
        console.rule(name)
        print(text)


if __name__ == "__main__":
    app()
