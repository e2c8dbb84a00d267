"""The name that handlers.protocol.payload had until version 0.1; it goes with the next release."""

from warnings import warn

from handlers.protocol.payload import InputType, Payload

warn("handlers.payload is now handlers.protocol.payload", FutureWarning, stacklevel=2)

__all__ = ["InputType", "Payload"]
