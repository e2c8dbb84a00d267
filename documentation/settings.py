"""Keys of specs and experiments, read off the models that check them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from archiver.spec import Spec
from archiver.tasks import TASKS
from train.core.experiment import SYSTEMS

HEAD = "| key | value | default | |\n|---|---|---|---|\n"
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def spec_page() -> str:
    parts = [
        "# Keys of a spec",
        "`archiver/specs/NAME.yaml`, or a file of your own: what `python -m archiver build` makes an archive by. "
        "An unknown key is an error; all errors are reported at once.",
        table(Spec),
        "`options` and `limits` belong to the task.",
    ]
    for name, task in TASKS.items():
        parts += [f"## {name}", "`options`: how it answers where a request does not say.", table(task.options)]
        parts += ["`limits`: what a request may bring at most.", table(task.limits)]
    return "\n\n".join(parts) + "\n"


def experiments_page() -> str:
    parts = [
        "# Keys of an experiment",
        "`train/experiments/NAME.yaml`, or a file of your own: what `python -m train` trains by. A dot leads into a "
        "mapping, as on the command line: `python -m train parts.yaml trainer.epochs=30`.",
    ]
    for system, place in SYSTEMS.items():
        module, _, name = place.partition(":")
        model: type[BaseModel] = getattr(import_module(module), name)
        parts += [f"## {system}", " ".join((model.__doc__ or "").split("\n\n")[0].split()), table(model)]
    return "\n\n".join(parts) + "\n"


def table(model: type[BaseModel]) -> str:
    schema = model.model_json_schema()
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows_of(schema, schema, "")]
    return HEAD + "\n".join(rows) if rows else "It has none."


def rows_of(part: dict[str, Any], schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """(key, kind of value, default, description) of a part of a JSON schema, and of the mappings in it."""
    required = set(part.get("required", ()))
    for name, found in part.get("properties", {}).items():
        field = resolved(found, schema)
        default = "required" if name in required else shown(found.get("default", field.get("default")))
        if "properties" in field:
            yield (f"`{prefix}{name}`", "a mapping", "" if default != "required" else default, text(found, field))
            yield from rows_of(field, schema, f"{prefix}{name}.")
        else:
            yield (f"`{prefix}{name}`", kind(field, schema), default, text(found, field))


def resolved(field: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in field:
        field = {**schema["$defs"][field["$ref"].rpartition("/")[2]], **{k: v for k, v in field.items() if k != "$ref"}}
    if len(field.get("allOf", ())) == 1:
        return resolved(field["allOf"][0], schema)
    return field


def text(found: dict[str, Any], field: dict[str, Any]) -> str:
    """The field's own description: a mapping's keys have theirs, so its class's is left out."""
    own = found.get("description") or ("" if "properties" in field else field.get("description", ""))
    return " ".join(str(own).split())


def kind(field: dict[str, Any], schema: dict[str, Any]) -> str:
    field = resolved(field, schema)
    if "anyOf" in field:
        return " or ".join(kind(one, schema) for one in field["anyOf"] if one.get("type") != "null") or "nothing"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    bounds = " ".join(f"{sign} {field[name]:g}" for name, sign in BOUNDS.items() if name in field)
    named = str(field.get("type", "anything"))
    if named == "array":
        named = f"a list of {kind(field.get('items', {}), schema)}"
    return f"{named} {bounds}".strip()


def shown(value: Any) -> str:
    if value is None or value == {} or value == []:
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
