"""A user's settings: a YAML file, bounded and checked whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bounded_yaml import reader
from bounded_yaml.reader import UnreadableYaml
from deploy.errors import DeployError

Settings = TypeVar("Settings", bound=BaseModel)


def read(path: Path, kind: type[Settings]) -> Settings:
    """Raises DeployError with everything that is wrong with the file, and none of its values: they may be keys."""
    try:
        value = reader.read(path)
    except UnreadableYaml as error:
        raise DeployError(f"{path}: {error}") from None
    return checked(kind, value, str(path))


def checked(kind: type[Settings], value: Any, name: str) -> Settings:
    """The same of a value. name: what the message calls it."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise DeployError(f"{name}: {wrong}") from None
