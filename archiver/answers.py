"""The answer form of each task, as the verification checks it on an archive's sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archiver.errors import Problem, problems_of
from archiver.tasks import TaskName

Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Index = Annotated[int, Field(ge=0)]
Size = Annotated[list[Index], Field(min_length=2, max_length=2)]

# Sums of float32 softmax over a thousand classes stay well within it; a class without a label does not.
PROBABILITY_TOLERANCE = 1e-3


class Answer(BaseModel):
    """A handler may say more than the form asks for."""

    model_config = ConfigDict(extra="allow", strict=True)


class Labelled(Answer):
    label: str
    index: Index


class Class(Labelled):
    probability: Fraction


class Classes(Answer):
    """labels: those that apply, of a model for which any number of them can."""

    predictions: list[Class] = Field(min_length=1)
    labels: list[str] | None = None


class Detection(Labelled):
    box: list[Finite] = Field(min_length=4, max_length=4)
    score: Fraction


class Detections(Answer):
    detections: list[Detection]


class RunLengths(Answer):
    size: Size
    counts: str


class Segment(Labelled):
    rle: RunLengths
    area: Index


class Segments(Answer):
    size: Size
    segments: list[Segment]


class Instance(Segment):
    box: list[Finite] = Field(min_length=4, max_length=4)
    score: Fraction


class Instances(Answer):
    size: Size
    segments: list[Instance]


class Embedding(Answer):
    embedding: list[Finite] = Field(min_length=1)


class Span(Answer):
    """start, end: in characters of the text."""

    text: str
    start: Index
    end: Index
    score: Fraction


class Entity(Span):
    label: str = Field(min_length=1)


class Entities(Answer):
    entities: list[Entity]


class Spans(Answer):
    answers: list[Span]


class Written(Answer):
    text: str
    finish_reason: Literal["eos_token", "stop_sequence", "length"]


class Action(Answer):
    action: Index | list[Finite]
    probabilities: list[Fraction] | None = None
    value: Finite


class Error(BaseModel):
    """What a client recognises as an error, on both protocols: these keys and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)

    code: int = Field(ge=400, lt=500)
    type: str = Field(min_length=1)
    message: str = Field(min_length=1)


FORMS: dict[TaskName, type[Answer]] = {
    "image-classification": Classes,
    "object-detection": Detections,
    "instance-segmentation": Instances,
    "semantic-segmentation": Segments,
    "audio-classification": Classes,
    "text-classification": Classes,
    "text-embedding": Embedding,
    "token-classification": Entities,
    "question-answering": Spans,
    "text-generation": Written,
    "policy": Action,
}


def check(task: TaskName, body: Any, labels: list[str], where: str) -> list[Problem]:
    """What is wrong with an answer's decoded body. labels: the model card's; where: names the answer."""
    form = FORMS[task]
    try:
        answer = form.model_validate(body)
    except ValidationError as error:
        return problems_of(error, form, where)
    found: Sequence[Labelled] = []
    match answer:
        case Classes():
            found = answer.predictions
        case Detections():
            found = answer.detections
        case Segments() | Instances():
            found = answer.segments
    problems = [
        Problem(f"{where}[{number}]", f"index {item.index} is no label {item.label!r} of the model card")
        for number, item in enumerate(found)
        if item.index >= len(labels) or labels[item.index] != item.label
    ]
    probabilities = answer.probabilities if isinstance(answer, Action) else None
    if isinstance(answer, Classes) and len(answer.predictions) == len(labels):
        ranked = [item.probability for item in answer.predictions]
        if ranked != sorted(ranked, reverse=True):
            problems.append(Problem(f"{where}.predictions", "are not in the order of their probability"))
        probabilities = ranked if answer.labels is None else None
    if probabilities and not math.isclose(sum(probabilities), 1.0, abs_tol=PROBABILITY_TOLERANCE):
        problems.append(
            Problem(
                where, f"probabilities of all {len(probabilities)} classes sum to {sum(probabilities):.4f}, not to 1"
            )
        )
    return problems


def check_error(status: int, body: Any, where: str) -> list[Problem]:
    """What is wrong with the answer to a request that cannot be answered."""
    if not 400 <= status < 500:
        return [Problem(where, f"wanted a status from 400 to 499 for a request without data; got {status}")]
    try:
        error = Error.model_validate(body)
    except ValidationError as wrong:
        return problems_of(wrong, Error, where)
    return [] if error.code == status else [Problem(where, f"code {error.code} in the body, status {status}")]
