"""Schemas of the explanations that a model answers with, by task, and checks of their numbers."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from archiver.errors import Problem, problems_of
from archiver.verification.response_checks import check_labels
from archiver.verification.response_schemas import Answer, Finite, Index, Labelled, Seconds

Row = Annotated[list[Finite], Field(min_length=1)]
# Tolerance of sums of float32 numbers, relative to a sum above 1.
ROUNDING = 1e-3


class Target(Labelled):
    """The explained class. score: before softmax or sigmoid."""

    score: Finite


class Completeness(Answer):
    """The completeness axiom of integrated gradients (Sundararajan et al. 2017): `sum` is `score` - `baseline`.

    score, baseline: of the target, for the input and for the baseline. sum: of all attributions. delta: sum less the
    difference of the scores. holds: whether it is small.
    """

    score: Finite
    baseline: Finite
    sum: Finite
    delta: Finite
    holds: bool

    @model_validator(mode="after")
    def check_delta(self) -> Self:
        if abs(self.sum - (self.score - self.baseline) - self.delta) > ROUNDING * max(1, abs(self.sum)):
            raise ValueError("delta = sum - (score - baseline)")
        return self


class Explanation(Answer):
    """evaluations: number of model runs. n_steps, completeness: for integrated gradients only."""

    method: str = Field(min_length=1)
    target: Target
    evaluations: int = Field(ge=1)
    n_steps: int | None = Field(default=None, ge=1)
    completeness: Completeness | None = None

    @abstractmethod
    def total(self) -> float:
        """The sum of all attributions."""


class Grid(Explanation):
    """attributions: rows of equal cells, which cover the box [x1, y1, x2, y2] in pixels of the image."""

    box: list[Finite] = Field(min_length=4, max_length=4)
    attributions: list[Row] = Field(min_length=1)

    def total(self) -> float:
        return sum(map(sum, self.attributions))


class Part(Answer):
    """The explained part of a recording. start, end: in seconds."""

    index: Index
    start: Seconds
    end: Seconds


class Spectrogram(Explanation):
    """attributions: (bands, frames), from the lowest band. curve: their sum for each frame.

    seconds: of each frame; below 0 in the silence that precedes a short recording. hertz: of each band; None if only
    the network knows them.
    """

    part: Part
    seconds: Row
    hertz: Row | None
    attributions: list[Row] = Field(min_length=1)
    curve: Row

    def total(self) -> float:
        return sum(map(sum, self.attributions))

    @model_validator(mode="after")
    def check_sizes(self) -> Self:
        if {len(row) for row in self.attributions} | {len(self.curve)} != {len(self.seconds)}:
            raise ValueError("as many numbers in each row of attributions and in curve as in seconds")
        if self.hertz is not None and len(self.hertz) != len(self.attributions):
            raise ValueError("as many numbers in hertz as rows in attributions")
        return self


class Token(Answer):
    """start, end: in characters of the text; None if the tokenizer does not report positions."""

    text: str
    start: Index | None
    end: Index | None
    weight: Finite


class Place(Answer):
    """The explained entity or token. index: in the answer. start, end: in characters of the text."""

    index: Index
    start: Index | None
    end: Index | None


class Tokens(Explanation):
    """entity, token: the explained one, for token classification."""

    entity: Place | None = None
    token: Place | None = None
    attributions: list[Token] = Field(min_length=1)

    def total(self) -> float:
        return sum(token.weight for token in self.attributions)


SCHEMAS: dict[str, type[Explanation]] = {
    "image-classification": Grid,
    "object-detection": Grid,
    "semantic-segmentation": Grid,
    "audio-classification": Spectrogram,
    "text-classification": Tokens,
    "token-classification": Tokens,
}


def check(task: str, body: Any, labels: list[str], where: str) -> list[Problem]:
    """Problems of an explanation. body: decoded JSON. labels: the model card's. where: its name in problems."""
    schema = SCHEMAS[task]
    try:
        answer = schema.model_validate(body)
    except ValidationError as error:
        return problems_of(error, schema, where)
    problems = check_labels([answer.target], labels, f"{where}.target")
    complete = answer.completeness
    if complete and abs(answer.total() - complete.sum) > ROUNDING * max(1, abs(complete.sum)):
        what = f"sum to {answer.total():.4f}; completeness.sum is {complete.sum:.4f}"
        problems.append(Problem(f"{where}.attributions", what))
    return problems
