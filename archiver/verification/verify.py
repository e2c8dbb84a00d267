"""Verifies an archive: it is loaded as in a worker and answers its sample, alone and in a batch with a bad request."""

from __future__ import annotations

import base64
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archiver.errors import Problem, VerificationError
from archiver.inspection import Contents, inspect, inspect_weights
from archiver.mar import Mar
from archiver.tasks import TASKS
from archiver.tasks.task import JSON
from archiver.verification import response_checks
from archiver.verification.response_schemas import SCHEMAS, Classes
from archiver.verification.worker_process import WorkerError, run_worker
from handlers.formats.sample import SAMPLE_TYPES

ALONE, BATCH, CARD = "the sample alone", "the sample beside an empty request", "describe"


@dataclass(frozen=True)
class Verification:
    """load_s: seconds to load the model and warm it up. answer_s: seconds for the first answer after that."""

    load_s: float
    answer_s: float


def verify(path: Path) -> Verification:
    """Check an archive's files, then run it. Raises VerificationError with all problems of the first step that fails.

    The archive's code runs with the rights of this process: verify only what you would serve.
    """
    with Mar(path) as mar, tempfile.TemporaryDirectory(prefix="archiver-") as temporary:
        contents = inspect(mar)
        folder = Path(temporary, "model")
        mar.extract(folder)
        unsafe = inspect_weights(folder, contents)
        if unsafe:
            raise VerificationError(str(path), unsafe)
        report = worker_report(path, folder, Path(temporary), contents)
    problems = check(report["batches"], contents)
    if problems:
        raise VerificationError(str(path), problems)
    return Verification(report["load_s"], report["batches"][ALONE]["seconds"])


def requests(folder: Path, contents: Contents) -> dict[str, list[dict[str, Any]]]:
    """The batches to send, by name: the sample, the sample with an empty request, and a request for the model card.

    They ask for all classes, so that a class without a label is noticed. folder: of the unpacked archive.
    """
    sample = folder / "artifact" / contents.artifact.sample
    content_type = SAMPLE_TYPES[sample.suffix]
    data = base64.b64encode(sample.read_bytes()).decode()
    fields = {"body": data}
    if contents.card.labels and SCHEMAS.get(contents.card.task) is Classes:
        fields["top_k"] = base64.b64encode(str(len(contents.card.labels)).encode()).decode()
    headers = {"Content-Type": content_type}
    valid = {"fields": fields, "content_type": content_type, "headers": headers}
    empty = {"fields": {"body": ""}, "content_type": content_type, "headers": headers}
    describe = {"fields": {}, "content_type": "", "headers": {"describe": "True"}}
    return {ALONE: [valid], BATCH: [valid, empty], CARD: [describe]}


def worker_report(path: Path, folder: Path, temporary: Path, contents: Contents) -> dict[str, Any]:
    """The worker's report on all batches. Raises VerificationError if it fails, dies or exceeds the archive's timeouts.

    folder: of the unpacked archive. temporary: for the worker's files.
    """
    batches = requests(folder, contents)
    job = {
        "name": contents.card.name,
        "folder": str(folder),
        "handler": contents.manifest.model.handler,
        "batch_size": contents.configuration.batch_size,
        "batches": batches,
        "task": contents.card.task,
    }
    timeout = contents.configuration.startup_timeout + len(batches) * contents.configuration.response_timeout
    try:
        report = run_worker(job, temporary, timeout)
    except WorkerError as error:
        raise VerificationError(str(path), [Problem("the worker", str(error))]) from None
    if "error" in report:
        raise VerificationError(str(path), [Problem(report["stage"], f"failed: {report['error'].rstrip()}")])
    return report


def check(batches: dict[str, dict[str, Any]], contents: Contents) -> list[Problem]:
    """Problems of the worker's answers. batches: by name, from its report."""
    card = contents.card
    problems = []
    for name in (ALONE, BATCH):
        answer = batches[name]["answers"][0]
        body = decode(answer)
        if answer["status"] != 200:
            problems.append(Problem(name, f"wanted status 200; got {answer['status']}: {body}"))
        elif answer["content_type"] != JSON and card.task not in TASKS:
            continue  # the handler of a user's own task may answer with an image, for example
        elif body is None:
            problems.append(Problem(name, "wanted an answer in JSON; got a body that is not"))
        elif answer["content_type"] != JSON:
            problems.append(Problem(name, f"wanted content type {JSON}; got {answer['content_type']}"))
        elif card.task in TASKS and isinstance(body, dict) and body.get("silent") is True:
            problems.append(Problem(name, "the sample is silent, so it does not test the model; wanted one with sound"))
            break  # the batch contains the same sample
        else:
            # A user's own handler may ignore top_k.
            every_class = contents.configuration.handler.class_.startswith("handlers.")
            problems += response_checks.check(card.task, body, card.labels, name, every_class)
    empty = batches[BATCH]["answers"][1]
    problems += response_checks.check_error(empty["status"], decode(empty), f"{BATCH}, the empty request")
    described = decode(batches[CARD]["answers"][0])
    if not isinstance(described, dict) or (described.get("name"), described.get("version")) != (
        card.name,
        card.version,
    ):
        problems.append(Problem(CARD, f"wanted the model card of {card.name} {card.version}"))
    return problems


def decode(answer: dict[str, Any]) -> Any:
    """An answer's body, read as JSON; None if it is not JSON."""
    try:
        return json.loads(base64.b64decode(answer["body"]))
    except (ValueError, RecursionError):
        return None
