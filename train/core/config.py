"""The base of all configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar
from warnings import warn

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

# A run may be resumed from another current folder.
AbsolutePath = Annotated[Path, AfterValidator(Path.absolute)]


class ExperimentError(Exception):
    """An experiment that does not exist or is configured wrongly; the message names the problem and its place."""


class StrictModel(BaseModel):
    """Part of a configuration: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    # Names of version 0.1 → present names; the next release removes them. "section.name" is one that was in a section.
    RENAMED: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def accept_old_names(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        for old, new in cls.RENAMED.items():
            section, _, name = old.rpartition(".")
            holder = values.get(section) if section else values
            if not isinstance(holder, dict) or name not in holder:
                continue
            warn(f"{old} is now {new}", FutureWarning, stacklevel=2)
            if new in values:
                raise ValueError(f"{old} is the old name of {new}; give one of them")
            rest = {key: value for key, value in holder.items() if key != name}
            values = {**(values | {section: rest} if section else rest), new: holder[name]}
        return values
