"""The answer form of each task, as the verification checks it on an archive's sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from archiver.errors import Problem, problems_of

Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
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


class Ranked(Answer):
    """The labels are the request's, which the model card need not have."""

    predictions: list[Class] = Field(min_length=1)


class Score(Labelled):
    score: Finite


class Scores(Answer):
    """Of a regression."""

    predictions: list[Score] = Field(min_length=1)


class Tasks(Answer):
    """Of a model with several tasks, each with classes of its own."""

    tasks: dict[str, Annotated[list[Class], Field(min_length=1)]] = Field(min_length=1)
    embedding: list[Finite] | None = None


class Detection(Labelled):
    box: list[Finite] = Field(min_length=4, max_length=4)
    score: Fraction


class Detections(Answer):
    detections: list[Detection]


class Keypoint(Answer):
    """x, y: in the image's pixels. score: of any range, as the model has it."""

    name: str
    x: Finite
    y: Finite
    score: Finite


class KeypointDetection(Detection):
    keypoints: list[Keypoint] = Field(min_length=1)


class KeypointDetections(Answer):
    detections: list[KeypointDetection]


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


class Depth(Answer):
    """scale, offset: depth = offset + scale × a number of the PNG."""

    size: Size
    kind: Literal["metric", "relative"]
    nearer: Literal["lower", "higher"]
    minimum: Finite
    maximum: Finite
    mean: Finite
    scale: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    offset: Finite


class Embedding(Answer):
    embedding: list[Finite] = Field(min_length=1)


class Speech(Answer):
    """In seconds."""

    start: Seconds
    end: Seconds


class VoiceActivity(Answer):
    segments: list[Speech]
    speech_seconds: Seconds
    seconds: Seconds


class Spoken(Speech):
    text: str


class Transcript(Answer):
    """words, segments: where they were asked for; the former of a CTC model, the latter of Whisper."""

    text: str
    seconds: Seconds
    language: str | None = None
    words: list[Spoken] | None = None
    segments: list[Spoken] | None = None


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
    finish_reason: Literal["eos_token", "stop_sequence", "length", "time_limit"]


class Action(Answer):
    """To one observation. probabilities: of a policy over discrete actions. values: of each, from a Q-network, whose
    policy takes the highest. mean, std: of a Gaussian over continuous actions."""

    action: Index | list[Finite]
    probabilities: list[Fraction] | None = None
    values: list[Finite] | None = None
    mean: list[Finite] | None = None
    std: list[Finite] | None = None
    value: Finite

    @model_validator(mode="after")
    def check_parts(self) -> Self:
        if isinstance(self.action, list):
            sizes = {len(part) for part in (self.action, self.mean, self.std) if part is not None}
            if len(sizes) > 1:
                raise ValueError("as many numbers in action, mean and std")
            return self
        for name, part in (("probabilities", self.probabilities), ("values", self.values)):
            if part is not None and self.action >= len(part):
                raise ValueError(f"an action that is one of the {len(part)} {name}")
        if self.values is not None and (self.values[self.action], self.value) != (max(self.values),) * 2:
            raise ValueError("action and value of the highest of the values")
        return self


class Actions(Answer):
    """To several observations that came together."""

    predictions: list[Action] = Field(min_length=1)


class Error(BaseModel):
    """The form by which a client recognises an error, on both protocols: these keys and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)

    code: int = Field(ge=400, lt=500)
    type: str = Field(min_length=1)
    message: str = Field(min_length=1)


SCHEMAS: dict[str, type[Answer]] = {
    "image-classification": Classes,
    "image-embedding": Embedding,
    "zero-shot-image-classification": Ranked,
    "object-detection": Detections,
    "instance-segmentation": Instances,
    "semantic-segmentation": Segments,
    "keypoint-detection": KeypointDetections,
    "depth-estimation": Depth,
    "audio-classification": Classes,
    "audio-embedding": Embedding,
    "voice-activity": VoiceActivity,
    "speech-recognition": Transcript,
    "text-classification": Classes,
    "text-embedding": Embedding,
    "token-classification": Entities,
    "question-answering": Spans,
    "text-generation": Written,
    "policy": Action,
}


def check(task: str, body: Any, labels: list[str], where: str, whole: bool = False) -> list[Problem]:
    """Problems of an answer's decoded body; none of a task of one's own, whose answers only its handler knows.

    labels: the model card's. where: names the answer. whole: it was asked for every class.
    """
    if task not in SCHEMAS:
        return []
    form = SCHEMAS[task]
    if form is Action and isinstance(body, dict) and "predictions" in body:
        form = Actions
    if form is Classes and isinstance(body, dict) and "tasks" in body:
        form = Tasks
    if task == "text-classification" and is_scored(body):
        form = Scores
    try:
        answer = form.model_validate(body)
    except ValidationError as error:
        return problems_of(error, form, where)
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
    if isinstance(answer, Classes) and whole and len(answer.predictions) != len(labels):
        what = f"hold {len(answer.predictions)} classes; the model card has {len(labels)} labels"
        return [*problems, Problem(f"{where}.predictions", what)]
    if isinstance(answer, Classes) and len(answer.predictions) == len(labels):
        return problems + check_order(answer.predictions, f"{where}.predictions", answer.labels is None)
    actions = answer.predictions if isinstance(answer, Actions) else [answer] if isinstance(answer, Action) else []
    return problems + [problem for action in actions for problem in check_sum(action.probabilities or [], where)]


def is_scored(body: Any) -> bool:
    """Whether the answer is a regression's: scores where a classifier has probabilities."""
    found = body.get("predictions") if isinstance(body, dict) else None
    return isinstance(found, list) and bool(found) and isinstance(found[0], dict) and "score" in found[0]


def check_tasks(answer: Tasks, labels: list[str], where: str) -> list[Problem]:
    """labels: of all tasks, one after the other; the answer holds every class of each."""
    count = sum(len(classes) for classes in answer.tasks.values())
    if count != len(labels):
        return [Problem(f"{where}.tasks", f"hold {count} classes; the model card has {len(labels)} labels")]
    problems, first = [], 0
    for task, classes in answer.tasks.items():
        problems += check_labels(classes, labels[first : first + len(classes)], f"{where}.tasks.{task}")
        problems += check_order(classes, f"{where}.tasks.{task}")
        first += len(classes)
    return problems


def check_labels(found: Sequence[Labelled], labels: list[str], where: str) -> list[Problem]:
    return [
        Problem(f"{where}[{number}]", f"index {item.index} is not the label {item.label!r} of the model card")
        for number, item in enumerate(found)
        if item.index >= len(labels) or labels[item.index] != item.label
    ]


def check_order(classes: Sequence[Class], where: str, exclusive: bool = True) -> list[Problem]:
    """Of an answer with every class. exclusive: one of them applies; of a multi-label model each is by itself."""
    probabilities = [item.probability for item in classes]
    problems = check_sum(probabilities, where) if exclusive else []
    if probabilities != sorted(probabilities, reverse=True):
        problems.append(Problem(where, "are not in the order of their probability"))
    return problems


def check_sum(probabilities: Sequence[float], where: str) -> list[Problem]:
    if not probabilities or math.isclose(sum(probabilities), 1.0, abs_tol=PROBABILITY_TOLERANCE):
        return []
    what = f"probabilities of all {len(probabilities)} classes sum to {sum(probabilities):.4f}, not to 1"
    return [Problem(where, what)]


def check_error(status: int, body: Any, where: str) -> list[Problem]:
    """Problems of the answer to a request that cannot be answered."""
    if not 400 <= status < 500:
        return [Problem(where, f"wanted a status from 400 to 499 for a request without data; got {status}")]
    try:
        error = Error.model_validate(body)
    except ValidationError as wrong:
        return problems_of(wrong, Error, where)
    return [] if error.code == status else [Problem(where, f"code {error.code} in the body, status {status}")]
