"""The answer form of each task's explanations."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from archiver.errors import Problem, problems_of
from archiver.verification.response_checks import check_labels
from archiver.verification.response_schemas import Answer, Finite, Index, Labelled, Seconds

Row = Annotated[list[Finite], Field(min_length=1)]
# Of sums of float32 numbers.
ROUNDING = 1e-3


class Target(Labelled):
    score: Finite


class Completeness(Answer):
    score: Finite
    baseline: Finite
    sum: Finite
    delta: Finite
    holds: bool

    @model_validator(mode="after")
    def check_delta(self) -> Self:
        if abs(self.sum - (self.score - self.baseline) - self.delta) > ROUNDING * max(1, abs(self.sum)):
            raise ValueError("a delta that is the sum less the difference of the scores")
        return self


class Explanation(Answer):
    """evaluations: runs of the model. completeness, n_steps: of integrated gradients alone."""

    method: str = Field(min_length=1)
    target: Target
    evaluations: int = Field(ge=1)
    n_steps: int | None = Field(default=None, ge=1)
    completeness: Completeness | None = None

    def total(self) -> float:
        """Of all attributions of the answer."""
        raise NotImplementedError


class Grid(Explanation):
    """attributions: by row, over the box x1 y1 x2 y2 in the image's pixels."""

    box: list[Finite] = Field(min_length=4, max_length=4)
    attributions: list[Row] = Field(min_length=1)

    def total(self) -> float:
        return sum(map(sum, self.attributions))


class Part(Answer):
    """Of a recording, in seconds."""

    index: Index
    start: Seconds
    end: Seconds


class Spectrogram(Explanation):
    """attributions: by band, the lowest first, and frame. curve: their sums by frame. seconds may begin before 0, where
    silence was put in front of a short recording."""

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
            raise ValueError("as many numbers in each row of attributions and in curve as there are seconds")
        if self.hertz is not None and len(self.hertz) != len(self.attributions):
            raise ValueError("as many hertz as rows of attributions")
        return self


class Token(Answer):
    """start, end: in characters of the text, where the tokenizer says."""

    text: str
    start: Index | None
    end: Index | None
    weight: Finite


class Place(Answer):
    """Of what is explained, in the text's characters."""

    index: Index
    start: Index | None
    end: Index | None


class Tokens(Explanation):
    """entity, token: of a text's tokens by class, the one of them that is explained."""

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
    """Problems of an explanation's decoded body. labels: the model card's. where: names the answer."""
    form = SCHEMAS[task]
    try:
        answer = form.model_validate(body)
    except ValidationError as error:
        return problems_of(error, form, where)
    problems = check_labels([answer.target], labels, f"{where}.target")
    complete = answer.completeness
    if complete and abs(answer.total() - complete.sum) > ROUNDING * max(1, abs(complete.sum)):
        what = f"sum to {answer.total():.4f}; completeness.sum is {complete.sum:.4f}"
        problems.append(Problem(f"{where}: the attributions", what))
    return problems
