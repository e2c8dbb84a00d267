"""The name that handlers.protocol.response had until version 0.1; it goes with the next release."""

from warnings import warn

from handlers.protocol.response import JSON, PNG, Response, error_response, to_json

warn("handlers.answer is now handlers.protocol.response", FutureWarning, stacklevel=2)

__all__ = ["JSON", "PNG", "Response", "error_response", "to_json"]
