"""Which version answers the calls of a model that name none, and which calls are refused or wait: traffic.yaml."""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from deploy.edge import settings_file
from deploy.edge.management import NAME as MODEL_NAME
from deploy.edge.private_file import replace_private

NAME = "traffic.yaml"
HEADER = """# models: shares of the calls that name no version, in percent; `./bundle deploy split` writes them.
# closed, held: of `./bundle deploy unregister` and `scale`, for as long as they run.
"""
LONGEST_HOLD = 60.0  # seconds
FALL = 1 / 3  # seconds by which a delay falls each second; what was delayed then comes at 1.5 times its rate
Name = Annotated[str, Field(pattern=rf"^{MODEL_NAME}$")]
Version = Annotated[Name, Field(max_length=100)]  # its length is one byte in a gRPC message
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
# Underscores are refused by the listener.
HeaderName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]


class Split(BaseModel):
    """versions: each one's share in percent, the present one first.

    sticky: a header, by whose value a caller stays with one version; "x-client" is the name of a caller's key. As the
    share of a later version grows, callers that it has keep it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    versions: Annotated[dict[Version, Percent], Field(min_length=1, max_length=16)]
    sticky: HeaderName | None = None

    @field_validator("versions")
    @classmethod
    def add_up(cls, value: dict[str, float]) -> dict[str, float]:
        total = sum(value.values())
        if abs(total - 100) > 0.01:
            raise ValueError(f"the shares add up to {total:g} %, wanted 100")
        return value

    def upper_bounds(self) -> list[tuple[str, float]]:
        """Each version and its bound for a draw from 0 to 1, from the last on: the first above the draw answers."""
        shares = [(version, share / 100) for version, share in reversed(self.versions.items()) if share]
        bounds = list(accumulate(share for _, share in shares))
        bounds[-1] = 1.0  # in spite of rounding
        return [(version, bound) for (version, _), bound in zip(shares, bounds, strict=True)]

    def text(self) -> str:
        """The probability of each version, as the edge's log has it: "1.0=0.9 2.0=0.1"."""
        return " ".join(f"{version}={share / 100:.6g}" for version, share in self.versions.items() if share)


class Hold(BaseModel):
    """Each call of a model is delayed by some seconds until a time, seconds since 1970, and then by less and less.

    So it ends by itself, and what was delayed does not come all at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: Annotated[float, Field(gt=0, le=LONGEST_HOLD)]
    until: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    @property
    def end(self) -> float:
        """When no call is delayed any more."""
        return self.until + self.seconds / FALL


class Copies(BaseModel):
    """A share of a model's calls, from 0 to 1, is copied to a rollout that compares versions, until a time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: Annotated[float, Field(gt=0, le=1)]
    until: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Traffic(BaseModel):
    """models: those whose calls are divided; the others' go to the server's default version.

    closed: versions of a model that are about to be unregistered, whose calls are answered with 404; all of them where
    none is named. held: models whose calls are delayed, while some of their workers end. copied:
    models of whose calls copies are made.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[Name, Split] = {}
    closed: dict[Name, tuple[Version, ...]] = {}
    held: dict[Name, Hold] = {}
    copied: dict[Name, Copies] = {}

    def digest(self) -> str:
        """Names this state of it; the edge answers GET /traffic with that of the one it goes by."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def divided(self, model: str, split: Split | None) -> Traffic:
        """With another division of a model's calls; None for none."""
        rest = {name: each for name, each in self.models.items() if name != model}
        return self.model_copy(update={"models": rest if split is None else {**rest, model: split}})

    def closing(self, model: str, versions: tuple[str, ...]) -> Traffic:
        """Without calls for some versions of a model, or for the whole model where none is named.

        Their share goes to the others, in proportion; where these had none, to the server's default version.
        """
        closed = () if not versions else tuple(dict.fromkeys((*self.closed.get(model, ()), *versions)))
        changed = self.model_copy(update={"closed": {**self.closed, model: closed}})
        split = self.models.get(model)
        if split is None:
            return changed
        left = {version: share for version, share in split.versions.items() if versions and version not in versions}
        total = sum(left.values())
        rest = {version: 100 * share / total for version, share in left.items()} if total else {}
        return changed.divided(model, split.model_copy(update={"versions": rest}) if rest else None)

    def opened(self, model: str, versions: tuple[str, ...]) -> Traffic:
        """With calls for some versions of a model again, as far as it was closed; all where none is named."""
        left = tuple(version for version in self.closed.get(model, ()) if versions and version not in versions)
        rest = {name: each for name, each in self.closed.items() if name != model}
        return self.model_copy(update={"closed": {**rest, model: left} if left else rest})

    def holding(self, model: str, hold: Hold) -> Traffic:
        """With the calls of a model delayed."""
        return self.model_copy(update={"held": {**self.held, model: hold}})

    def copying(self, model: str, copies: Copies | None) -> Traffic:
        """With copies of a model's calls; None for none."""
        rest = {name: each for name, each in self.copied.items() if name != model}
        return self.model_copy(update={"copied": rest if copies is None else {**rest, model: copies}})

    def at(self, now: float) -> Traffic:
        """Without what has ended by then, in seconds since 1970."""
        held = {name: hold for name, hold in self.held.items() if hold.end > now}
        copied = {name: each for name, each in self.copied.items() if each.until > now}
        return self.model_copy(update={"held": held, "copied": copied})


def read(path: Path) -> Traffic:
    """Of a file; nothing is divided where it is missing. DeployError with everything that is wrong with it."""
    return settings_file.read(path, Traffic) if path.exists() else Traffic()


def write(path: Path, traffic: Traffic) -> None:
    content: dict[str, Any] = traffic.model_dump(mode="json", exclude_none=True)
    kept = {name: value for name, value in content.items() if value or name == "models"}
    replace_private(path, HEADER + yaml.safe_dump(kept, sort_keys=False))


def change(path: Path, how: Callable[[Traffic], Traffic]) -> Traffic:
    """Read, change and write the file while nobody else does; the state that is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        changed = how(read(path).at(time.time()))
        write(path, changed)
    return changed
