"""Reads a state dict from safetensors or from torch.save's format, accepting only tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from archiver.errors import SpecError
from archiver.new import architectures, beside
from archiver.new.architectures import Network, Shapes
from archiver.new.findings import Findings, check_untokenized, refused, wanted_task
from archiver.new.labels import placeholders
from archiver.new.torch_save import unpickled
from archiver.tasks import TASKS
from handlers.formats import safetensors
from handlers.formats.errors import UnsafeFile
from handlers.formats.huggingface import TOKENIZED

NAME = "weights.safetensors"
POSSIBLE = tuple(task for task in TASKS if task not in TOKENIZED)
# Prefixes of all names, from wrappers (DataParallel, torch.compile) and attributes of a LightningModule.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")


def read(path: Path, task: str | None, architecture: str | None, workspace: Path) -> Findings:
    """Read a state dict. workspace: for the converted safetensors file."""
    if path.suffix.lower() == ".safetensors":
        state, kind = None, "safetensors"
        shapes = plain(path)
    else:
        state, kind = unpickled(path)
        shapes = {name: tuple(value.shape) for name, value in state.items()}
    network, names = named(path, shapes, architecture)
    file = path if state is None and all(new == old for new, old in names.items()) else workspace / NAME
    if file != path:
        write(file, path, state, names)
    if left_out := sorted(shapes.keys() - set(names.values())):
        kind = f"{kind}, without {', '.join(left_out[:2])}" + ("…" if len(left_out) > 2 else "")
    if network is None or not network.task:
        check_untokenized(path, task)
    if network is None:
        said = "the weights do not identify their network, and match none of torchvision's"
        chosen = wanted_task(path, task, POSSIBLE, f"{said}, so --architecture")
        missing = ['architecture: {factory, arguments}, "timm.create_model" or a class in a file that `code` names']
        if TASKS[chosen].classes:
            missing += ["labels: the name of each class, as --labels FILE"]
        settings, further = beside.preprocessing_of(path, chosen)
        missing += further
        return Findings(kind, chosen, "safetensors", NAME, {NAME: file}, settings=settings, missing=missing)
    chosen = network.task or wanted_task(path, task, POSSIBLE, f"{network.factory} may be for any task")
    if task not in (None, chosen):
        chosen = wanted_task(path, task, (chosen,), f"{network.factory} is for {chosen}")
    settings = [network.setting]
    if network.preprocessing is not None and chosen == "keypoint-detection":
        settings.append(network.preprocessing)
    elif network.preprocessing is not None:
        found = beside.transform_of(path, None)
        settings.append(found if found.certain else network.preprocessing)
    labels, source = beside.labels_of(path, network.classes)
    missing = []
    if not labels and network.classes:
        labels, source = placeholders(network.classes), "CHECK: placeholders, the weights have no names"
    elif not labels and network.classes is None and TASKS[chosen].classes:
        missing = ["labels: the name of each class, as --labels FILE"]
    if not network.task:
        root = network.factory.partition(".")[0]
        missing += [
            f"code: [{root}.py], if {network.factory} is yours" + ", and its arguments" * (not network.arguments)
        ]
    return Findings(kind, chosen, "safetensors", NAME, {NAME: file}, labels, source, network.classes, settings, missing)


def plain(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        return safetensors.header(path)
    except UnsafeFile as error:
        raise refused(path, str(error)) from None


def named(path: Path, shapes: Shapes, architecture: str | None) -> tuple[Network | None, dict[str, str]]:
    """The network, and the file's name for each of its weights. Raises SpecError if they do not match."""
    refusal: SpecError | None = None
    for names in namings(list(shapes)):
        try:
            network = architectures.find(path, {new: shapes[old] for new, old in names.items()}, architecture)
        except SpecError as error:
            refusal = refusal or error
            continue
        if network is not None:
            return network, names
    if refusal:
        raise refusal
    return None, next(namings(list(shapes)))


def namings(names: list[str]) -> Iterator[dict[str, str]]:
    """Candidate renamings: all names without wrappers' prefixes, then only those of one attribute, because a
    LightningModule may have others, such as its loss.
    """
    yield dict(zip(without_prefix(names), names, strict=True))
    for prefix in PREFIXES:
        inner = [name for name in names if name.startswith(prefix)]
        if inner and len(inner) < len(names):
            yield dict(zip(without_prefix(inner), inner, strict=True))


def write(file: Path, path: Path, state: dict[str, Any] | None, names: Mapping[str, str]) -> None:
    """Write the weights as safetensors under new names. state: from a pickle; None to read safetensors at `path`."""
    from safetensors.torch import load_file, save_file

    found = load_file(path) if state is None else state
    # Each tensor needs its own memory for safetensors.
    save_file({new: found[old].detach().clone().contiguous() for new, old in names.items()}, file)


def without_prefix(names: list[str]) -> list[str]:
    while prefix := next((each for each in PREFIXES if all(name.startswith(each) for name in names)), None):
        names = [name.removeprefix(prefix) for name in names]
    return names
