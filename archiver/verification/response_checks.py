"""Checks the answers to an archive's sample: their structure, their labels, and whether their numbers agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from archiver.errors import Problem, problems_of
from archiver.verification.response_schemas import (
    SCHEMAS,
    Action,
    Actions,
    Class,
    Classes,
    Detections,
    Error,
    Instances,
    KeypointDetections,
    Labelled,
    Scores,
    Segments,
    Tasks,
)

# The error of a float32 softmax over a thousand classes is far smaller, and a missing class usually weighs more.
PROBABILITY_TOLERANCE = 1e-3


def check(task: str, body: Any, labels: list[str], where: str, every_class: bool = False) -> list[Problem]:
    """Problems of an answer; none for a user's own task, whose answers only its handler knows.

    body: decoded JSON. labels: the model card's. where: the answer's name in problems. every_class: whether the request
    asked for all classes.
    """
    if task not in SCHEMAS:
        return []
    schema = SCHEMAS[task]
    if schema is Action and isinstance(body, dict) and "predictions" in body:
        schema = Actions
    if schema is Classes and isinstance(body, dict) and "tasks" in body:
        schema = Tasks
    if task == "text-classification" and is_regression(body):
        schema = Scores
    try:
        answer = schema.model_validate(body)
    except ValidationError as error:
        return problems_of(error, schema, where)
    if isinstance(answer, Tasks):
        return check_tasks(answer, labels, where)
    found: Sequence[Labelled] = []
    match answer:
        case Classes() | Scores():
            found = answer.predictions
        case Detections() | KeypointDetections():
            found = answer.detections
        case Segments() | Instances():
            found = answer.segments
    problems = check_labels(found, labels, where)
    if isinstance(answer, Classes) and every_class and len(answer.predictions) != len(labels):
        what = f"{len(answer.predictions)} classes; the model card has {len(labels)} labels"
        return [*problems, Problem(f"{where}.predictions", what)]
    if isinstance(answer, Classes) and len(answer.predictions) == len(labels):
        return problems + check_order(answer.predictions, f"{where}.predictions", answer.labels is None)
    actions = answer.predictions if isinstance(answer, Actions) else [answer] if isinstance(answer, Action) else []
    return problems + [problem for action in actions for problem in check_sum(action.probabilities or [], where)]


def is_regression(body: Any) -> bool:
    """Whether the answer has scores instead of a classifier's probabilities."""
    found = body.get("predictions") if isinstance(body, dict) else None
    return isinstance(found, list) and bool(found) and isinstance(found[0], dict) and "score" in found[0]


def check_tasks(answer: Tasks, labels: list[str], where: str) -> list[Problem]:
    """Problems of an answer with every class of several tasks. labels: of all tasks, one after the other."""
    count = sum(len(classes) for classes in answer.tasks.values())
    if count != len(labels):
        return [Problem(f"{where}.tasks", f"{count} classes; the model card has {len(labels)} labels")]
    problems, first = [], 0
    for task, classes in answer.tasks.items():
        problems += check_labels(classes, labels[first : first + len(classes)], f"{where}.tasks.{task}")
        problems += check_order(classes, f"{where}.tasks.{task}")
        first += len(classes)
    return problems


def check_labels(found: Sequence[Labelled], labels: list[str], where: str) -> list[Problem]:
    """Problems of items whose label is not the model card's label at their index."""
    return [
        Problem(f"{where}[{number}]", f"index {item.index} is not the label {item.label!r} in the model card")
        for number, item in enumerate(found)
        if item.index >= len(labels) or labels[item.index] != item.label
    ]


def check_order(classes: Sequence[Class], where: str, exclusive: bool = True) -> list[Problem]:
    """Problems of an answer with every class. exclusive: False for a multi-label model, whose probabilities need not
    sum to 1.
    """
    probabilities = [item.probability for item in classes]
    problems = check_sum(probabilities, where) if exclusive else []
    if probabilities != sorted(probabilities, reverse=True):
        problems.append(Problem(where, "wanted the classes in descending order of probability"))
    return problems


def check_sum(probabilities: Sequence[float], where: str) -> list[Problem]:
    if not probabilities or math.isclose(sum(probabilities), 1.0, abs_tol=PROBABILITY_TOLERANCE):
        return []
    what = f"the probabilities of all {len(probabilities)} classes sum to {sum(probabilities):.4f}, not to 1"
    return [Problem(where, what)]


def check_error(status: int, body: Any, where: str) -> list[Problem]:
    """Problems of the answer to a request without data. body: decoded JSON. where: the answer's name in problems."""
    if not 400 <= status < 500:
        return [Problem(where, f"wanted a status from 400 to 499 for a request without data; got {status}")]
    try:
        error = Error.model_validate(body)
    except ValidationError as invalid:
        return problems_of(invalid, Error, where)
    return [] if error.code == status else [Problem(where, f"wanted code {status}, as the status; got {error.code}")]
