"""Loads an unpacked archive and answers a few batches, as TorchServe's worker process does.

It runs by path in its own process, and the archiver never imports it: `python -I worker.py JOB REPORT`, two JSON files.
"""

from __future__ import annotations

import base64
import json
import sys
import traceback
from pathlib import Path
from time import perf_counter
from typing import Any

# A traceback is cut at its beginning, which shows TorchServe's own calls; the cause is in the last lines.
TRACEBACK_CHARACTERS = 3000


def run(job: dict[str, Any], report: dict[str, Any]) -> None:
    """Load the model and answer the job's batches. `report` is filled step by step, so that it is useful on failure.

    job: {"name", "folder": of the unpacked archive, "handler": file in it, "batch_size", "batches": requests by name},
        and "device": "cpu" to leave a GPU unused.
    report: {"stage": the current step, or "done", "load_s": seconds to load the model, "batches": {"seconds",
        "answers"} by name}; `main` adds "error", the end of a traceback.
    """
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
    """The answers to one batch, which passes through TorchServe's own parser.

    requests: {"fields": base64 by name, "content_type", "headers"}. Returns {"status", "content_type", "body": base64}
    for each request. Raises TypeError if the handler does not return a list of bytes with one item per request.
    """
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
        raise TypeError(
            f"the handler returned {describe(bodies)} for {len(rows)} requests; wanted a list of {len(rows)}"
        )
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


def reported(error: Exception) -> str:
    """One sentence for a LoadError or an UnsafeFile, of which each archive has a copy; else a traceback."""
    if type(error).__name__ in ("LoadError", "UnsafeFile"):
        return str(error)
    return "\n" + "".join(traceback.format_exception(error))[-TRACEBACK_CHARACTERS:]


def main(job_file: str, report_file: str) -> None:
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    sys.path.insert(0, job["folder"])
    report: dict[str, Any] = {}
    try:
        run(job, report)
    except Exception as error:  # noqa: BLE001 - an archive's code can raise anything, and it belongs in the report
        report["error"] = reported(error)
    Path(report_file).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
