"""The base of all configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from warnings import warn

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

# A run may be resumed from a different current folder.
AbsolutePath = Annotated[Path, AfterValidator(Path.absolute)]
StoredType = Literal["float16"] | None  # of an artifact's weights; None to leave them as they are


class ExperimentError(Exception):
    """An experiment that cannot be run: it does not exist, or its configuration or data are wrong.

    The message starts with the key or file, and says what is wrong with it.
    """


class StrictModel(BaseModel):
    """Part of a configuration: immutable, and unknown keys are errors."""

    # No setting means anything if it is infinite or not a number.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    # Names in version 0.1 → current names; "section.name" was in a section. The next release drops the old names.
    RENAMED: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def accept_old_names(cls, values: Any) -> Any:
        """The values under current names, with a warning for each old name. Refuses an old name beside its new one."""
        if not isinstance(values, dict):
            return values
        for old, new in cls.RENAMED.items():
            section, _, name = old.rpartition(".")
            holder = values.get(section) if section else values
            if not isinstance(holder, dict) or name not in holder:
                continue
            warn(f"{old} is now {new}", FutureWarning, stacklevel=2)
            if new in values:
                raise ValueError(f"{old} is the old name of {new}; remove {old}")
            rest = {key: value for key, value in holder.items() if key != name}
            values = {**(values | {section: rest} if section else rest), new: holder[name]}
        return values
