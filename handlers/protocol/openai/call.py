"""A call of the API, from its request to its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import time
from typing import Any
from uuid import uuid4

from handlers.errors import InvalidInput, shown

# Set by who sends a call on to its model, as TorchServe has no such paths: the path below /v1/.
HEADER = "x-openai"
CHAT, COMPLETIONS = "chat/completions", "completions"
EMBEDDINGS, TRANSCRIPTIONS = "embeddings", "audio/transcriptions"
PREFIXES = {CHAT: "chatcmpl-", COMPLETIONS: "cmpl-"}
# A field of several values: with brackets in the specification and its clients, without in others.
UNITS = ("timestamp_granularities[]", "timestamp_granularities")
EVENTS = "text/event-stream"  # server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html


def path_of(headers: Mapping[str, Any]) -> str:
    """The path of a call, "" of a request that is none. headers: with names in lower case.

    A part of a form has a mapping there under its name, and is not a header.
    """
    value = headers.get(HEADER)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode(errors="replace")
    return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class Call:
    """path: below /v1/. model: as the caller names it. stream: whether the answer comes as events. usage: whether the
    last of these counts tokens. copies: choices for each prompt. form: of an embedding float or base64, of a
    transcript json, text, srt, vtt or verbose_json. names: the caller's names of the task's parameters. sent: text of
    each choice that has gone out in pieces.
    """

    path: str
    model: str
    stream: bool = False
    usage: bool = False
    copies: int = 1
    form: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid4().hex)
    created: int = field(default_factory=lambda: int(time()))
    sent: dict[int, str] = field(default_factory=dict)


def check_offered(path: str, offered: Sequence[str], task: str) -> None:
    """InvalidInput for a path that a model does not answer. offered: those that it does."""
    if path not in offered:
        others = " and ".join(f"/v1/{each}" for each in offered) or "no path of this API"
        raise InvalidInput(f"model: it is one of {task} and answers {others}; the call came to /v1/{path[:40]}")


def check_named(call: Call, model: str) -> None:
    """InvalidInput for a call of another model: what chose this one has read the body in another way."""
    if call.model != model:
        raise InvalidInput(f"model: got {shown(call.model)}; the call came to {model}")
