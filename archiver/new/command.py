"""`bundle new`: writes a spec and an artifact for existing weights."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from archiver import spec
from archiver.errors import ArchiverError, Problem, SpecError
from archiver.new import content
from archiver.new.findings import Findings
from archiver.new.kinds import Options, read
from archiver.new.writing import Places, labels_name, write
from archiver.package import resolve
from archiver.store import entry
from archiver.tasks import TASKS
from handlers.formats.sample import SAMPLE_TYPES
from handlers.formats.zip_file import printable

PROJECT = Path(__file__).parents[2]
DEMO = PROJECT / "artifacts" / "demo"
# Default requests by task for the warm-up and the verification.
SAMPLES = {
    "text": DEMO / "language-id" / "sample.txt",
    "image": DEMO / "shapes-detection" / "sample.jpg",
    "audio": DEMO / "spoken-digits" / "sample.wav",
    "data": DEMO / "cartpole" / "sample.json",
}
QUESTION = '{"question": "Where was she born?", "context": "Marie Curie worked in Paris, and was born in Warsaw."}\n'
CANDIDATES = ["a circle", "a square", "a triangle"]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Name of the model, its spec and its archive.")],
    weights: Annotated[
        Path,
        typer.Option(
            help="A Hugging Face or timm folder, .safetensors, .pth or .pt (a state dict or TorchScript), .pt2, .onnx, "
            "or a finished .mar."
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option(help=f"Task, if the weights do not determine it: {', '.join(TASKS)}.", show_default=False),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            help="Network of a state dict: a torchvision (resnet18) or timm model (timm/resnet18), or a dotted name; "
            'arguments in parentheses: "mobilenet_v2(width_mult=0.5)".'
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="The names of the classes: one per line, or a JSON list.", show_default=False)
    ] = None,
    sample: Annotated[
        Path | None, typer.Option(help="A request for warm-up and verification; by default one of the demo's.")
    ] = None,
    artifacts: Annotated[Path, typer.Option(help="Folder that contains the artifact folders.")] = Path("artifacts"),
    specs: Annotated[Path, typer.Option(help="Folder for the spec.")] = spec.SPECS,
    model_store: Annotated[Path, typer.Option("--store", help="Folder to which a finished .mar is copied.")] = Path(
        "model_store"
    ),
) -> None:
    """Write a spec for your weights, with what the file states, what was assumed, and what you have to fill in.

    The weights are copied into an artifact folder, a pickled state dict as safetensors. `./bundle build NAME` and
    `./bundle serve NAME` follow. Exit status 2: weights that cannot be served, with the reason.
    """
    try:
        check_name(name)
        if weights.suffix.lower() == ".mar" and weights.is_file():
            content.check(weights)
            target = model_store / f"{name}.mar"
            copy_archive(weights, target)
            typer.echo(f"{target} is a finished archive; serve it: ./bundle serve {name}")
            return
        if task is not None and task not in TASKS:
            raise SpecError(name, [Problem("--task", f"got {task!r}; wanted {', '.join(TASKS)}")])
        with TemporaryDirectory(prefix="bundle-new-") as temporary:
            found = read(weights, Options(task, architecture, labels), Path(temporary))
            places = Places(artifacts / name, specs / f"{name}.yaml", specs / f"{name}{labels_name(found.labels)}")
            write(name, weights, found, sample_of(found, sample, Path(temporary)), places)
            if not found.missing:
                check(places, artifacts)
    except ArchiverError as error:
        typer.echo(f"new: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"new: {printable(f'{error.strerror or error}: {error.filename or str()}')}", err=True)
        raise typer.Exit(2) from None
    report(name, found, places)


def check(places: Places, artifacts: Path) -> None:
    """Raise SpecError and remove all files if it cannot be built."""
    try:
        resolve(places.spec, artifacts)
    except ArchiverError:
        places.remove()
        raise


def check_name(name: str) -> None:
    if not re.match(spec.MODEL_NAME, name):
        raise SpecError(name, [Problem("the name", "wanted letters, digits, - and _, with single dots between them")])


def copy_archive(source: Path, target: Path) -> None:
    if problem := entry(source).problem:
        raise SpecError(str(source), [Problem("the archive", problem)])
    if target.exists():
        raise SpecError(
            target.stem, [Problem("the name", f"is already used: {target}; delete it or choose another name")]
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def sample_of(found: Findings, given: Path | None, workspace: Path) -> Path:
    """The given file, or one of the demo's for the task's kind of input."""
    if given is not None:
        if given.suffix.lower() not in SAMPLE_TYPES:
            raise SpecError(str(given), [Problem("--sample", f"wanted one of {', '.join(SAMPLE_TYPES)}")])
        return given
    if found.task == "question-answering":
        path = workspace / "sample.json"
        path.write_text(QUESTION, encoding="utf-8")
        return path
    if found.task == "zero-shot-image-classification" and not found.labels:
        path = workspace / "sample.json"
        image = base64.b64encode(SAMPLES["image"].read_bytes()).decode()
        path.write_text(json.dumps({"image": image, "labels": CANDIDATES}), encoding="utf-8")
        return path
    return SAMPLES[TASKS[found.task].field]


def report(name: str, found: Findings, places: Places) -> None:
    """Print the written files, what has to be filled in, and the next commands."""
    typer.echo(f"{found.kind} for {found.task}")
    for path in (places.artifact, places.spec, places.labels):
        if path.exists():
            typer.echo(f"  wrote {path}")
    for setting in found.settings:
        if not setting.certain:
            typer.echo(f"  check {setting.key}: {setting.comment}")
    for thing in found.missing:
        typer.echo(f"  fill in {thing}")
    typer.echo(f"then: ./bundle build {name} && ./bundle serve {name}")


if __name__ == "__main__":
    app()
