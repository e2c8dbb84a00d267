"""Deprecated: the name of handlers.protocol.payload in version 0.1, until the next release."""

from warnings import warn

from handlers.protocol.payload import InputType as Kind
from handlers.protocol.payload import Payload

warn("handlers.payload is now handlers.protocol.payload", FutureWarning, stacklevel=2)

__all__ = ["Kind", "Payload"]
