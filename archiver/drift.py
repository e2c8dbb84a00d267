"""Histograms of the validation data, with which a server compares its requests.

The model's own handler measures the inputs, so that workers measure the same values. Artifacts of the project's
trainings have statistics of the answers, which need no inputs.
"""

from __future__ import annotations

import base64
import json
import math
import tempfile
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

import yaml

from archiver import mar
from archiver.errors import Problem, SpecError
from archiver.package import Package
from archiver.verification.worker_process import WorkerError, run_worker
from handlers.formats.sample import SAMPLE_TYPES

CLASS, CONFIDENCE = "class", "confidence"  # as handlers/drift/reference.py names them
LEAST, MOST = 100, 2000  # inputs; of more, an evenly spaced selection is used
BINS = 10
PER_BIN = 25  # inputs, to limit the influence of chance
BATCH = 4
TIED = 1.5  # bins' worth of inputs from which a single value gets its own bin
DIGITS = 6
WHOLE = 0.02  # tolerance of the sum of rounded shares
# Names of the predicted classes' shares in the trainings' statistics.
SHARES = ("predicted", "classes", "class mix")


def reference(package: Package, content: Mapping[str, bytes | Path]) -> dict[str, Any]:
    """{feature: {"bounds" or "labels", "counts"}}; empty if nothing is known about the validation data.

    content: the archive's files so far. Raises SpecError if the model does not answer the spec's inputs.
    """
    if package.drift is None:
        return of_training(package.artifact.description.reference)
    inputs = read(package.drift, package.spec.name)
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for values in measured(package, content, inputs):
        for name, value in values:
            found[name].append(value)
    bins = min(BINS, len(inputs) // PER_BIN)
    return {
        name: labelled(Counter(values), bins) if isinstance(values[0], str) else histogram(values, bins)
        for name, values in sorted(found.items())
    }


def of_training(values: Mapping[str, Any]) -> dict[str, Any]:
    """Histograms from an artifact's statistics: classes and confidence deciles, if available."""
    counted = next((values[name] for name in ("recordings", "texts", "images") if name in values), 0)
    found: dict[str, Any] = {}
    shares = next((values[name] for name in SHARES if isinstance(values.get(name), dict)), None)
    if counted >= LEAST and shares and abs(sum(shares.values()) - 1) < WHOLE:
        counts = Counter({label: round(share * counted) for label, share in shares.items()})
        found[CLASS] = labelled(counts, min(BINS, counted // PER_BIN))
    deciles = values.get("confidence deciles")
    if counted >= LEAST and isinstance(deciles, list) and len(deciles) == BINS + 1:
        bounds = sorted(set(deciles[1:-1]))
        ends = [bisect_left(deciles[1:-1], bound) for bound in bounds]
        if len(ends) == BINS - 1:
            found[CONFIDENCE] = {"bounds": bounds, "counts": [round(counted / BINS)] * BINS}
    return found


def histogram(values: Sequence[float], bins: int) -> dict[str, Any]:
    """A histogram with equally filled bins; a value shared by many inputs gets its own bin."""
    cuts = {rounded(cut) for cut in quantiles(values, n=bins, method="inclusive")} if bins > 1 else set()
    for value, times in Counter(map(rounded, values)).items():
        if times > TIED * len(values) / bins:
            step = 10.0 ** (1 - DIGITS) * max(abs(value), 10.0 ** (1 - DIGITS))
            cuts |= {value - step, value + step}
    bounds = sorted(cuts)
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[bisect_left(bounds, value)] += 1
    return {"bounds": bounds, "counts": counts}


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def labelled(counts: Mapping[str, int], bins: int) -> dict[str, Any]:
    """A histogram of the most frequent labels, with all others combined."""
    first = sorted(counts, key=lambda label: (-counts[label], label))[: max(1, bins - 1)]
    return {
        "labels": first,
        "counts": [*(counts[label] for label in first), sum(counts.values()) - sum(counts[label] for label in first)],
    }


def read(path: Path, name: str) -> list[dict[str, Any]]:
    """Requests for worker.py from a folder's files or a .jsonl file's lines. Raises SpecError for anything else."""
    if path.suffix == ".jsonl" and path.is_file():
        lines = [line for line in path.read_bytes().splitlines() if line.strip()]
        chosen = [(line, "application/json") for line in chosen_of(lines)]
    elif path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SAMPLE_TYPES and file.is_file())
        chosen = [(file.read_bytes(), SAMPLE_TYPES[file.suffix.lower()]) for file in chosen_of(files)]
    else:
        raise SpecError(name, [Problem("drift", f"wanted a folder or a .jsonl file; {path} is neither")])
    if len(chosen) < LEAST:
        raise SpecError(name, [Problem("drift", f"wanted at least {LEAST} inputs; {path} has {len(chosen)}")])
    return [
        {
            "fields": {"body": base64.b64encode(body).decode()},
            "content_type": content_type,
            "headers": {"Content-Type": content_type},
        }
        for body, content_type in chosen
    ]


def chosen_of(found: Sequence[Any]) -> list[Any]:
    """At most MOST of them, evenly spaced."""
    return list(found[:: math.ceil(len(found) / MOST)]) if found else []


def measured(
    package: Package, content: Mapping[str, bytes | Path], inputs: Sequence[dict[str, Any]]
) -> list[list[tuple[str, Any]]]:
    """(feature, value) pairs of each input, measured by the archive's handler."""
    with tempfile.TemporaryDirectory(prefix="archiver-") as temporary:
        folder, path = Path(temporary, "model"), Path(temporary, "values.jsonl")
        mar.stage(folder, content)
        configuration = yaml.safe_load((folder / mar.CONFIGURATION).read_text(encoding="utf-8"))
        configuration["handler"]["drift"] = str(path)
        (folder / mar.CONFIGURATION).write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")
        (folder / mar.CARD).write_text(json.dumps({"version": package.spec.version}), encoding="utf-8")
        batches = {
            f"drift: inputs from {start}": list(inputs[start : start + BATCH]) for start in range(0, len(inputs), BATCH)
        }
        job = {
            "name": package.spec.name,
            "folder": str(folder),
            "handler": "entry.py",
            "batch_size": BATCH,
            "device": "cpu",
            "task": package.task,
            "batches": batches,
        }
        timeouts = package.spec.timeouts
        try:
            report = run_worker(job, Path(temporary), timeouts.startup_s + len(batches) * timeouts.response_s)
        except WorkerError as error:
            raise SpecError(package.spec.name, [Problem("drift", str(error))]) from None
        if "error" in report:
            last = report["error"].strip().splitlines()[-1]
            raise SpecError(package.spec.name, [Problem("drift", f"{report['stage']}: {last}")])
        for name, batch in report["batches"].items():
            for number, answer in enumerate(batch["answers"]):
                if answer["status"] != 200:
                    said = base64.b64decode(answer["body"]).decode(errors="replace")[:300]
                    raise SpecError(package.spec.name, [Problem(name, f"input {number}: {said}")])
        return [json.loads(line) for line in path.read_bytes().splitlines()]
