"""The parts that configurations are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar
from warnings import warn

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

# A run is resumed from another folder than it was started in.
AbsolutePath = Annotated[Path, AfterValidator(Path.absolute)]


class ExperimentError(Exception):
    """An experiment that does not exist or whose configuration is wrong; the message says what and where."""


class StrictModel(BaseModel):
    """Part of a configuration: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    # Names of version 0.1 → today's; they go with the next release.
    RENAMED: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def accept_old_names(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        for old in cls.RENAMED.keys() & values.keys():
            new = cls.RENAMED[old]
            warn(f"{old} is now {new}", FutureWarning, stacklevel=2)
            if new in values:
                raise ValueError(f"{old} is the old name of {new}; give one of them")
            values = {new if key == old else key: value for key, value in values.items()}
        return values
