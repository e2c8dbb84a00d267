"""Everything a custom handler needs for any task; readers of images, recordings and texts are in their own folders."""

from handlers.artifact import LoadError
from handlers.base import Handler
from handlers.errors import (
    InternalError,
    InvalidInput,
    MalformedInput,
    NotAcceptable,
    NotOffered,
    OutOfMemory,
    RequestError,
    TooLarge,
    UnsupportedMedia,
)
from handlers.loader import load_model
from handlers.protocol.media_type import negotiate
from handlers.protocol.payload import InputType, Payload
from handlers.protocol.response import JSON, PNG, Response, to_json
from handlers.ranking import rank

__all__ = [
    "JSON",
    "PNG",
    "Handler",
    "InputType",
    "InternalError",
    "InvalidInput",
    "LoadError",
    "MalformedInput",
    "NotAcceptable",
    "NotOffered",
    "OutOfMemory",
    "Payload",
    "RequestError",
    "Response",
    "TooLarge",
    "UnsupportedMedia",
    "load_model",
    "negotiate",
    "rank",
    "to_json",
]
