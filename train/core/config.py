"""The parts that configurations are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

# A run is resumed from another folder than it was started in.
AbsolutePath = Annotated[Path, AfterValidator(Path.absolute)]


class ExperimentError(Exception):
    """An experiment that does not exist or whose configuration is wrong; the message says what and where."""


class StrictModel(BaseModel):
    """Part of a configuration: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
