"""The state of a rollout, in a file that outlives the command, so that another one goes on or takes it back."""

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
    """In this order; a rollout that fails goes from any of the first four to ROLL_BACK."""

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
    """steps: percent of the calls that the new version gets, one after the other. hold: seconds of each at least.

    patience: seconds of each at most, until there are enough calls to judge by. shadow: seconds before the first step,
    in which copies of calls are answered by both versions and compared; 0 for none. min_agreement: of these answers,
    from 0 to 1.
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
    """old, new: versions. archive: the new one's file. copies: of it, which are removed where it is taken back. step:
    index of the one that is under way. timeline: what was seen, a point each second or so.
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
    """Of one model; the last rollout's until the next one begins."""

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
        """All of it or nothing."""
        replace_private(self.path, json.dumps(state.to_json()))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """DeployError where another command is at it; the lock ends with its process."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise DeployError(f"a rollout of {self.model} is under way in another process") from None
            yield
