"""Schemas of the answers by task, and of errors."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Index = Annotated[int, Field(ge=0)]
Size = Annotated[list[Index], Field(min_length=2, max_length=2)]


# The model card contains the JSON Schema of these classes, with their names and docstrings: editing those of a class in
# `SCHEMAS` or `answer_schema.VARIANTS` changes the bytes of every archive.


class Answer(BaseModel):
    """A handler may answer with more than the schema requires."""

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
                raise ValueError("action, mean and std of the same length")
            return self
        for name, part in (("probabilities", self.probabilities), ("values", self.values)):
            if part is not None and self.action >= len(part):
                raise ValueError(f"an action below {len(part)}, the number of {name}")
        if self.values is not None and (self.values[self.action], self.value) != (max(self.values),) * 2:
            raise ValueError("the action with the highest of the values, and its value")
        return self


class Actions(Answer):
    """To several observations that came together."""

    predictions: list[Action] = Field(min_length=1)


class Error(BaseModel):
    """The body by which clients recognise an error, over REST and gRPC: exactly these keys."""

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
