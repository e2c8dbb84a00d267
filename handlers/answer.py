"""Deprecated: the name of handlers.protocol.response in version 0.1, until the next release."""

from warnings import warn

from handlers.protocol.response import JSON, PNG, to_json
from handlers.protocol.response import Response as Answer
from handlers.protocol.response import error_response as error_answer

warn("handlers.answer is now handlers.protocol.response", FutureWarning, stacklevel=2)

__all__ = ["JSON", "PNG", "Answer", "error_answer", "to_json"]
