"""A request after it was parsed: its inputs as they were sent, before a task decodes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, cast

from handlers.errors import InvalidInput, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handlers.protocol.openai.call import Call

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}
FLAGS = TRUE | FALSE
# That any task may be sent: a model that does not stream answers in one piece, and the others name the model where a
# path does not.
COMMON_PARAMETERS = frozenset({"stream", "model_name", "model_version"})

Dialect = Literal["plain", "v1", "v2", "openai"]


class InputType(Enum):
    """The kind of input a task takes; the value is the content type of a request that names none."""

    MEDIA = "application/octet-stream"
    TEXT = "text/plain"
    TENSOR = "application/json"


class Parameters(dict[str, Any]):
    """Values that were sent beside the data. A JSON null counts as not sent.

    read: the names that were looked for, so that one nobody looked for can be reported.
    """

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        super().__init__(values or {})
        self.read: set[str] = set()

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().get(str(name)) is not None

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        value = super().get(name)
        return default if value is None else value


@dataclass(frozen=True)
class Payload:
    """data: bytes of an encoded file, text, or numbers: (nested) lists, or an array where they came as a tensor.

    content_type: of the bytes, lower case and without parameters; "" where the sender did not say.
    parameters: what came beside the data: form fields, entries of the input map, further keys of the JSON object.
    """

    data: bytes | str | list[Any] | NDArray[Any]
    content_type: str = ""
    parameters: Mapping[str, Any] = field(default_factory=Parameters)

    def __post_init__(self) -> None:
        if not isinstance(self.parameters, Parameters):
            object.__setattr__(self, "parameters", Parameters(self.parameters))

    def check_parameters(self) -> None:
        """InvalidInput for a parameter that the task has not looked for."""
        if not self.parameters:
            return
        read = cast("Parameters", self.parameters).read
        unknown = self.parameters.keys() - read - COMMON_PARAMETERS
        if unknown:
            names = ", ".join(sorted(read)) or "none"
            raise InvalidInput(f"{shown(min(unknown))}: not a parameter of this request; parameters here: {names}")

    def number(self, name: str, default: float, minimum: float, maximum: float) -> float:
        """The numeric parameter `name`; InvalidInput if it is not a number or outside [minimum, maximum]."""
        value = self.parameters.get(name, default)
        try:
            if not isinstance(value, (int, float, str)) or isinstance(value, bool):
                raise ValueError
            number = float(value)
        except (ValueError, OverflowError):
            raise InvalidInput(f"{name}: got {shown(value)}, wanted a number") from None
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
        value = self.parameters.get(name, default)
        if isinstance(value, bool):
            return value
        text = "" if isinstance(value, (list, dict)) else str(value).lower()
        if text not in FLAGS:
            raise InvalidInput(f"{name}: got {shown(value)}, wanted true or false")
        return text in TRUE

    def names(self, name: str) -> list[str]:
        """The parameter `name`, names in a list or with commas between them, each once; empty where it was not sent."""
        value = self.parameters.get(name, "")
        parts = value if isinstance(value, list) else str(value).split(",")
        return list(dict.fromkeys(found for part in parts if (found := str(part).strip())))

    def choice(self, name: str, default: str, options: tuple[str, ...]) -> str:
        """The parameter `name`, one of `options`."""
        value = self.parameters.get(name, default)
        if value not in options:
            raise InvalidInput(f"{name}: got {shown(value)}, wanted one of {', '.join(options)}")
        return str(value)


@dataclass(frozen=True)
class Request:
    """payloads: one, or several where a KServe request carries several instances.

    dialect: how the answers are wrapped. accept: the media types asked for, lower case. id: of a v2 request.
    list_name: of the list that the payloads came in, "" where there is none. binary: whether a v2 answer is wanted with
    its tensor as bytes. call: of OpenAI's API.
    """

    payloads: list[Payload]
    accept: str = ""
    dialect: Dialect = "plain"
    id: str = ""
    list_name: str = ""
    binary: bool = False
    call: Call | None = None

    def place(self, index: int) -> str:
        """Where in the request a payload stands, "" where it is the request."""
        copies = self.call.copies if self.call else 1
        return f"{self.list_name}[{index // copies}]" if self.list_name else ""
