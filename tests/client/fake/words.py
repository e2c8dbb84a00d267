"""Answers in TorchServe's own words, the same over both protocols."""

import json
from typing import Any

FULL = {"code": 503, "type": "Unavailable", "message": "the queue is full"}
REFUSED = "Token Authorization failed. Token either incorrect, expired, or not provided correctly"
DESCRIPTION = {
    "modelName": "echo",
    "modelVersion": "2.0",
    "modelUrl": "echo.mar",
    "minWorkers": 2,
    "maxWorkers": 3,
    "batchSize": 8,
    "maxBatchDelay": 4,
    "jobQueueStatus": {"remainingCapacity": 98, "pendingRequests": 2},
    "workers": [
        {"id": "9000", "status": "READY", "pid": 11, "memoryUsage": 1024, "gpu": False},
        {"id": "9001", "status": "UNLOADING", "pid": 12, "memoryUsage": 0, "gpu": False},
    ],
}


def page(models: list[str], limit: int, start: int) -> str:
    """TorchServe's paging: a token whenever the page is full, even when nothing follows."""
    end = start + limit
    value: dict[str, Any] = {"models": [{"modelName": m, "modelUrl": f"{m}.mar"} for m in models[start:end]]}
    if end <= len(models):
        value["nextPageToken"] = str(end)
    return json.dumps(value)


def described(name: str, version: str, customized: bool) -> str:
    value = DESCRIPTION | {"modelName": name} | ({"customizedMetadata": {"task": "echo"}} if customized else {})
    return json.dumps([value, value | {"modelVersion": "1.0"}] if version == "all" else [value])
