"""A request after it was parsed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from handlers.protocol.payload import Payload

Dialect = Literal["plain", "v1", "v2"]


@dataclass(frozen=True)
class Request:
    """payloads: one, or several where a KServe request carries several instances.

    dialect: how the answers are wrapped. accept: the media types asked for, lower case. id: of a v2 request.
    list_name: of the list that the payloads came in, "" where there is none.
    """

    payloads: list[Payload]
    accept: str = ""
    dialect: Dialect = "plain"
    id: str = ""
    list_name: str = ""

    def place(self, index: int) -> str:
        """Where in the request a payload stands, "" where it is the request."""
        return f"{self.list_name}[{index}]" if self.list_name else ""
