"""The JSON Schema of a task's answers, which an archive carries for whoever describes its server."""

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


# Of tasks whose models or inputs differ in the form of the answer.
OTHERS: dict[str, tuple[type[Answer], ...]] = {
    "image-classification": (Classes, Tasks),
    "audio-classification": (Classes, Silent),
    "text-classification": (Classes, Scores),
    "policy": (Action, Actions),
}


def answer_schema(task: str) -> dict[str, Any]:
    """JSON Schema 2020-12; empty of a task of one's own, whose answers only its handler knows."""
    if task not in SCHEMAS:
        return {}
    form: Any = reduce(or_, OTHERS.get(task, (SCHEMAS[task],)))
    return TypeAdapter(form).json_schema()
