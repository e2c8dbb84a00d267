"""The name that handlers.protocol.payload had in version 0.1; it goes with the next release."""

from warnings import warn

from handlers.protocol.payload import InputType as Kind
from handlers.protocol.payload import Payload

warn("handlers.payload is now handlers.protocol.payload", FutureWarning, stacklevel=2)

__all__ = ["Kind", "Payload"]
