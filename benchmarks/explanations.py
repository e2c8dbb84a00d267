"""`python -m benchmarks.explanations ARCHIVE…`: processor time and memory of explanations beside those of a prediction.

Each archive's sample, answered without a server, with one thread, in a process for predictions and one for
explanations. Processor time is free of what else the machine does. `--draw FOLDER` writes the heat maps.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path
from time import process_time
from types import SimpleNamespace
from typing import Annotated, Any

import torch
import typer
import yaml

from archiver.mar import Mar
from handlers.formats.sample import SAMPLE_TYPES
from handlers.protocol.payload import Parameters, Payload
from handlers.protocol.request import parse

PREDICTIONS, EXPLANATIONS = 50, 1
PNG = "image/png"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Bench:
    """The handler of an archive for predictions, or for its explanations, and its sample."""

    def __init__(self, archive: Path, folder: Path, explains: bool) -> None:
        with Mar(archive) as mar:
            mar.extract(folder)
        configuration = yaml.safe_load((folder / "model-config.yaml").read_text(encoding="utf-8"))
        settings = configuration["handler"]
        settings["threads"] = 1
        if explains:
            settings["explain"]["max_seconds"] = 600.0  # a machine that does something else as well is slow
        module, _, name = (settings["explain"] if explains else settings)["class"].rpartition(".")
        properties = {"model_dir": str(folder), "gpu_id": None, "batch_size": 1}
        self.handler: Any = getattr(import_module(module), name)()
        self.handler.initialize(
            SimpleNamespace(manifest={}, system_properties=properties, model_yaml_config=configuration, metrics=None)
        )
        sample = self.handler.artifact.sample
        headers = {"content-type": SAMPLE_TYPES[sample.suffix]}
        request = parse({"body": sample.read_bytes()}, headers, self.handler.input_type, self.handler.request_limits)
        self.payload = request.payloads[0]

    def answer(self, parameters: dict[str, str | int] | None = None, media_type: str = "") -> bytes:
        payload = Payload(self.payload.data, self.payload.content_type, Parameters(parameters))
        item = self.handler.decode(payload)
        with torch.inference_mode():
            [output] = self.handler.predict([item])
        body: bytes = self.handler.encode(item, output, media_type or self.handler.media_types[0]).body
        return body

    def seconds(self, count: int, parameters: dict[str, str | int] | None = None) -> float:
        """Processor time of one answer, the mean of `count`."""
        began = process_time()
        for _ in range(count):
            self.answer(parameters)
        return (process_time() - began) / count


def predicting(archive: Path) -> tuple[float, int]:
    """Seconds of processor time of a prediction, and the most memory that the process had, in bytes."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        return Bench(archive, Path(folder), explains=False).seconds(PREDICTIONS), peak()


def explaining(archive: Path, draw: Path | None) -> tuple[dict[str, float], int]:
    """The same of an explanation by each method."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        bench = Bench(archive, Path(folder), explains=True)
        found = {}
        for method in bench.handler.methods:
            steps: dict[str, str | int] = {"n_steps": 50} if method == "integrated-gradients" else {}
            found[method] = bench.seconds(EXPLANATIONS, {"method": method, **steps})
            if draw and PNG in bench.handler.media_types:
                (draw / f"{archive.stem}-{method}.png").write_bytes(bench.answer({"method": method, **steps}, PNG))
        return found, peak()


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@app.command()
def explanations(
    archives: Annotated[list[Path], typer.Argument(metavar="ARCHIVE…")],
    draw: Annotated[Path | None, typer.Option(help="A folder for heat maps of the samples, as PNG.")] = None,
) -> None:
    """Print a table: what an explanation by each method costs, in predictions."""
    if draw:
        draw.mkdir(parents=True, exist_ok=True)
    print("| model | method | processor time, ms | predictions | most memory, MiB |\n|---|---|---|---|---|")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as processes:
        for archive in archives:
            prediction, memory = processes.submit(predicting, archive).result()
            print(f"| {archive.stem} | a prediction | {prediction * 1000:.1f} | 1 | {memory >> 20} |", flush=True)
            found, memory = processes.submit(explaining, archive, draw).result()
            for method, seconds in found.items():
                cost = f"{seconds * 1000:.0f} | {seconds / prediction:.0f} | {memory >> 20}"
                print(f"| {archive.stem} | {method} | {cost} |", flush=True)


if __name__ == "__main__":
    app()
