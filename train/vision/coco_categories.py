"""The categories of COCO files: a model's classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from train.core.config import ExperimentError
from train.core.data_problems import DataProblems
from train.core.file_list import label_problem
from train.vision.coco_json import is_id

BACKGROUND = "__background__"
MAX_CLASSES = 2_048  # the output of a detector has a number for each, at thousands of places in the image


def read_categories(
    entries: list[Any], labels: list[str] | None, path: Path, problems: DataProblems
) -> tuple[list[str], dict[Any, int | None]]:
    """The labels, and the label index by category id; None for a category that is not in the training file."""
    by_id: dict[Any, str] = {}
    for entry in entries:
        if (
            not isinstance(entry, dict)
            or not isinstance(entry.get("id"), int)
            or not isinstance(entry.get("name"), str)
        ):
            raise ExperimentError(f"{path}: wanted a category as {{id: integer, name: text}}; got {str(entry)[:80]!r}")
        if why := label_problem(entry["name"]):
            raise ExperimentError(f"{path}: the name of the category with id {str(entry['id'])[:20]} {why}")
        if entry["id"] in by_id:
            raise ExperimentError(f"{path}: category id {entry['id']} occurs twice")
        by_id[entry["id"]] = entry["name"]
    names = list(dict.fromkeys(by_id[key] for key in sorted(by_id)))
    if len(names) < len(by_id):
        problems.add("category: duplicate name; both ids become one class", path.name)
    if len(names) > MAX_CLASSES:
        raise ExperimentError(f"{path} has {len(names)} categories; wanted {MAX_CLASSES} at most")
    if labels is None:
        labels = [BACKGROUND, *names]
    known = {name: index for index, name in enumerate(labels) if index}
    if not known.keys() & set(names):
        raise ExperimentError(
            f"{path} has the categories {', '.join(names)}; wanted those of the training file: {', '.join(known)}"
        )
    return labels, {key: known.get(name) for key, name in by_id.items()}


def without_groups(entries: list[Any], objects: list[Any], problems: DataProblems) -> list[Any]:
    """The categories except those that only name a group: they have no objects and are the `supercategory` of others.
    Roboflow's exports begin with one, which would become a class without objects.
    """
    used = {
        entry.get("category_id") for entry in objects if isinstance(entry, dict) and is_id(entry.get("category_id"))
    }
    parents = {entry["supercategory"] for entry in entries if isinstance(entry, dict) and is_named_group(entry)}
    kept = []
    for entry in entries:
        named = isinstance(entry, dict) and is_id(entry.get("id")) and isinstance(entry.get("name"), str)
        if named and entry["id"] not in used and entry["name"] in parents:
            problems.add("category: only groups others; skipped", entry["name"])
        else:
            kept.append(entry)
            if named and entry["id"] not in used:
                problems.add("category: no objects", entry["name"])
    return kept


def is_named_group(entry: dict[str, Any]) -> bool:
    """Whether a category names another one as its group; in COCO's own file some name themselves."""
    return isinstance(entry.get("supercategory"), str) and entry["supercategory"] != entry.get("name")
