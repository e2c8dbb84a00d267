"""The base class of a spec's sections, and their number types."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=60)]


class StrictModel(BaseModel):
    """A section of a spec: immutable, with strict types (no `"8"` for 8), and no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
