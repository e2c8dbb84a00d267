"""Loads an unpacked archive and answers a few batches, the way TorchServe's worker process does.

Run by path in a process of its own, never imported by the archiver: `python -I worker.py JOB REPORT`, two JSON files.
"""

from __future__ import annotations

import base64
import json
import sys
import traceback
from pathlib import Path
from time import perf_counter
from typing import Any

# A traceback's last lines hold the cause; the first are TorchServe's own.
TRACEBACK_CHARACTERS = 3000


def run(job: dict[str, Any], report: dict[str, Any]) -> None:
    """Fill `report` as far as it gets: the stage it is in, seconds, and the answers of each batch."""
    report["stage"] = "importing TorchServe"
    import torch
    import ts
    from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
    from ts.model_loader import ModelLoaderFactory

    metrics = MetricsCacheYamlImpl(str(Path(ts.__file__).parent / "configs" / "metrics.yaml"))
    metrics.initialize_cache()
    metrics.model_name = job["name"]
    report["stage"] = "initialize"
    started = perf_counter()
    service = ModelLoaderFactory.get_model_loader().load(
        job["name"],
        job["folder"],
        job["handler"],
        0 if torch.cuda.is_available() and job.get("device") != "cpu" else None,
        job["batch_size"],
        metrics_cache=metrics,
    )
    report["load_s"] = perf_counter() - started
    report["batches"] = {}
    for name, requests in job["batches"].items():
        report["stage"] = name
        started = perf_counter()
        answers = predict(service, requests)
        report["batches"][name] = {"seconds": perf_counter() - started, "answers": answers}
    report["stage"] = "done"


def predict(service: Any, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One batch through TorchServe's own parsing of its wire format; TypeError for anything but a list of bytes."""
    wire = [
        {
            "requestId": str(number).encode(),
            "parameters": [
                {"name": name, "contentType": request["content_type"], "value": bytearray(base64.b64decode(value))}
                for name, value in request["fields"].items()
            ],
            "headers": [{"name": name.encode(), "value": value.encode()} for name, value in request["headers"].items()],
        }
        for number, request in enumerate(requests)
    ]
    headers, rows, identifiers = service.retrieve_data_for_inference(wire)
    context = service.context
    context.request_ids = context.metrics.request_ids = identifiers
    context.request_processor = headers
    bodies = service._entry_point(rows, context)
    if not isinstance(bodies, list) or len(bodies) != len(rows):
        raise TypeError(f"the handler returned {describe(bodies)} for {len(rows)} requests; wanted a list of as many")
    answers = []
    for number, body in enumerate(bodies):
        if not isinstance(body, (bytes, bytearray)):
            raise TypeError(f"the handler returned {describe(body)} as answer {number}; wanted bytes")
        answers.append(
            {
                "status": context.get_response_status(number)[0],
                "content_type": context.get_response_content_type(number),
                "body": base64.b64encode(body).decode(),
            }
        )
    return answers


def describe(value: Any) -> str:
    return f"a list of {len(value)}" if isinstance(value, list) else f"a {type(value).__name__}"


def said(error: Exception) -> str:
    """The sentence of a LoadError, of which there is one class in every archive; a traceback of what nobody foresaw."""
    if type(error).__name__ == "LoadError":
        return str(error)
    return "\n" + "".join(traceback.format_exception(error))[-TRACEBACK_CHARACTERS:]


def main(job_file: str, report_file: str) -> None:
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    sys.path.insert(0, job["folder"])
    report: dict[str, Any] = {}
    try:
        run(job, report)
    except Exception as error:  # noqa: BLE001 - whatever an archive's code raises is the finding
        report["error"] = said(error)
    Path(report_file).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
