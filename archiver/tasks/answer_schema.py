"""The JSON Schema of a task's answers, which the model card contains and a server's OpenAPI description shows.

It includes the names and docstrings of the classes: a change to them changes the bytes of every archive.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any, Literal

from pydantic import Field, TypeAdapter

from archiver.verification.response_schemas import (
    SCHEMAS,
    Action,
    Actions,
    Answer,
    Class,
    Classes,
    Scores,
    Tasks,
)


class Silent(Answer):
    """Of a recording in which nothing is to be heard."""

    silent: Literal[True]
    predictions: list[Class] = Field(max_length=0)


# Tasks with several structures of answers, depending on the model or the input. Others have the one in SCHEMAS.
VARIANTS: dict[str, tuple[type[Answer], ...]] = {
    "image-classification": (Classes, Tasks),
    "audio-classification": (Classes, Silent),
    "text-classification": (Classes, Scores),
    "policy": (Action, Actions),
}


def answer_schema(task: str) -> dict[str, Any]:
    """A task's answers as JSON Schema 2020-12; empty for a user's own task, whose answers only its handler knows."""
    if task not in SCHEMAS:
        return {}
    schema: Any = reduce(or_, VARIANTS.get(task, (SCHEMAS[task],)))
    return TypeAdapter(schema).json_schema()
