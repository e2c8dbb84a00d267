"""The state of a rollout in a file, so that a later command can resume it or roll it back."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from deploy.edge.private_file import replace_private
from deploy.errors import DeployError


class Phase(StrEnum):
    """The phases in order; a failing rollout goes from any of the first four to ROLL_BACK."""

    REGISTER = "register"
    SHADOW = "shadow"
    STEPS = "steps"
    PROMOTE = "promote"
    PROMOTED = "promoted"
    ROLL_BACK = "roll back"
    ROLLED_BACK = "rolled back"

    @property
    def is_end(self) -> bool:
        return self in (Phase.PROMOTED, Phase.ROLLED_BACK)


@dataclass(frozen=True)
class Plan:
    """steps: percentages of the calls for the new version, step by step.

    hold: minimum seconds per step. patience: maximum seconds per step if there are too few calls to judge by. shadow:
    seconds of the shadow phase before the first step; 0 for none. min_agreement: required agreement of the shadow
    phase's answers, from 0 to 1.
    """

    steps: tuple[float, ...] = (1.0, 10.0, 50.0, 100.0)
    hold: float = 60.0
    patience: float = 1800.0
    max_error_ratio: float = 0.05
    max_p99: float | None = None
    shadow: float = 0.0
    min_agreement: float = 0.95
    sticky: str | None = None

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls(**{**values, "steps": tuple(values["steps"])})


@dataclass
class State:
    """old, new: versions. archive: the new version's file. copies: its copies in stores, removed by a rollback. step:
    index of the current step. timeline: observations, about one per second.
    """

    model: str
    old: str
    new: str
    archive: str
    plan: Plan
    phase: Phase = Phase.REGISTER
    step: int = 0
    copies: list[str] = field(default_factory=list)
    reason: str = ""
    started: float = 0.0
    ended: float = 0.0
    judge: dict[str, Any] = field(default_factory=dict)
    agreement: dict[str, Any] = field(default_factory=dict)
    timeline: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        given = {each.name: values[each.name] for each in fields(cls)}
        return cls(**{**given, "plan": Plan.from_json(values["plan"]), "phase": Phase(values["phase"])})


class StateFile:
    """The file of one model, which keeps the last rollout's state until the next one begins."""

    def __init__(self, folder: Path, model: str) -> None:
        self.path, self.model = folder / f"{model}.json", model

    def read(self) -> State | None:
        try:
            return State.from_json(json.loads(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise DeployError(f"{self.path} cannot be read: {error}") from None

    def write(self, state: State) -> None:
        """Write atomically."""
        replace_private(self.path, json.dumps(state.to_json()))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold a lock that ends with this process. Raises DeployError if another command holds it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise DeployError(f"a rollout of {self.model} is under way in another process") from None
            yield
