"""A user's settings: a YAML file, checked whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from deploy.errors import DeployError

Settings = TypeVar("Settings", bound=BaseModel)


def read(path: Path, kind: type[Settings]) -> Settings:
    """DeployError with everything that is wrong with the file, and none of its values: they may be keys."""
    try:
        return checked(kind, yaml.safe_load(path.read_text(encoding="utf-8")), str(path))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DeployError(f"{path} is not YAML: {str(error).splitlines()[0]}") from None


def checked(kind: type[Settings], value: Any, name: str) -> Settings:
    """The same of a value. name: what the message calls it."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise DeployError(f"{name}: {wrong}") from None
