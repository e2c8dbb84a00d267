"""Which version answers the calls of a model that name none: traffic.yaml, shares in percent."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from deploy.edge import settings_file
from deploy.edge.management import NAME as MODEL_NAME
from deploy.edge.private_file import replace_private

NAME = "traffic.yaml"
HEADER = "# Shares of the calls that name no version; `./bundle deploy split` writes them.\n"
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


class Traffic(BaseModel):
    """The models whose calls are divided; the others' go to the server's default version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[Name, Split] = {}


def read(path: Path) -> Traffic:
    """Of a file; nothing is divided where it is missing. DeployError with everything that is wrong with it."""
    return settings_file.read(path, Traffic) if path.exists() else Traffic()


def write(path: Path, traffic: Traffic) -> None:
    content: dict[str, Any] = traffic.model_dump(exclude_none=True)
    replace_private(path, HEADER + yaml.safe_dump(content, sort_keys=False))
