"""One input as it was sent, before a task decodes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from handlers.errors import InvalidInput

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}


class InputType(Enum):
    """The kind of input a task takes; the value is the content type of a request that names none."""

    MEDIA = "application/octet-stream"
    TEXT = "text/plain"
    TENSOR = "application/json"


@dataclass(frozen=True)
class Payload:
    """data: bytes of an encoded file, text, or (nested) lists of numbers.

    content_type: of the bytes, lower case and without parameters; "" where the sender did not say.
    parameters: what came beside the data: form fields, entries of the input map, further keys of the JSON object.
    """

    data: bytes | str | list[Any]
    content_type: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def number(self, name: str, default: float, minimum: float, maximum: float) -> float:
        """The numeric parameter `name`; InvalidInput if it is not a number or outside [minimum, maximum]."""
        value = self.parameters.get(name, default)
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise InvalidInput(f"{name}: got {str(value)[:40]!r}, wanted a number") from None
        if not minimum <= number <= maximum:
            raise InvalidInput(f"{name}: got {number:g}, wanted {minimum:g} to {maximum:g}")
        return number

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """The whole-number parameter `name`, as `number`."""
        number = self.number(name, default, minimum, maximum)
        if number != int(number):
            raise InvalidInput(f"{name}: got {number:g}, wanted a whole number")
        return int(number)

    def flag(self, name: str, default: bool) -> bool:
        """The yes-or-no parameter `name`."""
        text = str(self.parameters.get(name, default)).lower()
        if text not in TRUE | FALSE:
            raise InvalidInput(f"{name}: got {text[:40]!r}, wanted true or false")
        return text in TRUE

    def choice(self, name: str, default: str, options: tuple[str, ...]) -> str:
        """The parameter `name`, one of `options`."""
        text = str(self.parameters.get(name, default))
        if text not in options:
            raise InvalidInput(f"{name}: got {text[:40]!r}, wanted one of {', '.join(options)}")
        return text
