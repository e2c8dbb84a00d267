"""A part of a spec, and the numbers that parts are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=60)]


class StrictModel(BaseModel):
    """A part of a spec: fixed once read, types as written (no `"8"` for 8), unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
