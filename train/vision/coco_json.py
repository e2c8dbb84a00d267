"""The JSON of COCO files, within bounds of size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from train.core.config import ExperimentError
from train.core.data_file import read_bytes, reason

# Of the JSON; COCO's own file of 118,287 images has half as many of each.
MAX_JSON_BYTES, MAX_VALUES, MAX_CONTAINERS = 1 << 30, 100_000_000, 20_000_000


def read_json(path: Path) -> dict[str, list[Any]]:
    """The file's object, which has lists of images, annotations and categories. Raises ExperimentError."""
    try:
        content = read_bytes(path, MAX_JSON_BYTES)
        if content.count(b",") > MAX_VALUES or content.count(b"[") + content.count(b"{") > MAX_CONTAINERS:
            raise ValueError(f"it holds more than {MAX_VALUES} values, or {MAX_CONTAINERS} lists and objects")
        values = json.loads(content.decode("utf-8-sig"))
    except FileNotFoundError:
        raise ExperimentError(f"{path} does not exist; wanted annotations in COCO's JSON format") from None
    except OSError as error:
        raise ExperimentError(f"{path} cannot be read: {reason(error)}") from None
    except ValueError as error:
        raise ExperimentError(f"{path} cannot be read as JSON: {error}") from None
    except RecursionError:
        raise ExperimentError(f"{path} cannot be read as JSON: nested too deeply") from None
    for key in ("images", "annotations", "categories"):
        if not isinstance(values, dict) or not isinstance(values.get(key), list):
            raise ExperimentError(f"{path}: wanted a list under {key!r}, as in COCO's JSON")
    if not values["categories"]:
        raise ExperimentError(f"{path}: categories is empty; wanted one for each class")
    return values


def is_id(value: Any) -> bool:
    return isinstance(value, int | str)
