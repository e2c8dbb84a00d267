"""Calls of chat/completions and completions as requests of text generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.errors import InvalidInput, MalformedInput, TooLarge, shown
from handlers.protocol.limits import Limits
from handlers.protocol.openai.call import CHAT, Call
from handlers.protocol.openai.fields import check, flag, model_of
from handlers.protocol.openai.messages import turns_of
from handlers.protocol.payload import Parameters, Payload, Request

LENGTHS = ("max_tokens", "max_completion_tokens")
COMMON = ("n", "stream", "stream_options", "temperature", "top_p", "seed", "stop")
OPTIONS = {"include_usage", "include_obfuscation"}  # of a stream; ours has no need to hide the length of its pieces


def from_object(value: Mapping[str, Any], path: str, limits: Limits) -> Request:
    own = ("messages", *LENGTHS) if path == CHAT else ("prompt", LENGTHS[0])
    fields = check(value, (*own, *COMMON), path)
    stream, usage = streaming(fields)
    lengths = [name for name in LENGTHS if name in fields]
    if len(lengths) > 1:
        raise InvalidInput(f"{lengths[0]}: sent beside {lengths[1]}, which is the same; send one")
    names = {"max_new_tokens": lengths[0]} if lengths else {}
    parameters: dict[str, Any] = {name: fields[name] for name in ("temperature", "top_p", "stop") if name in fields}
    parameters |= {each: fields[name] for each, name in names.items()}
    parameters |= {"truncate": False, "chat": path == CHAT, "stream": "true" if stream else "false"}
    copies = count(fields)
    data: list[Any] = [turns_of(fields.get("messages"))] if path == CHAT else prompts_of(fields.get("prompt"))
    if len(data) * copies > limits.max_instances:
        raise TooLarge(f"n: {len(data) * copies} choices in one answer; the limit is {limits.max_instances}")
    call = Call(path, model_of(fields), stream, usage, copies, names={**names, "chat": "messages"})
    content_type = "application/json" if path == CHAT else "text/plain"
    payloads = [
        Payload(each, content_type, Parameters({**parameters, **seed(fields, copy)}))
        for each in data
        for copy in range(copies)
    ]
    several = path != CHAT and isinstance(fields["prompt"], list)
    return Request(payloads, dialect="openai", list_name="prompt" if several else "", call=call)


def prompts_of(value: Any) -> list[str]:
    """A text, or a list of them."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found:
        raise MalformedInput(f"prompt: got {shown(value)}, wanted a text, or a list of texts")
    for each in found:
        if not isinstance(each, str):
            raise InvalidInput("prompt: tokens are not taken; wanted a text, or a list of texts")
    return found


def streaming(fields: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether the answer comes in pieces, and whether the last of them counts tokens."""
    stream, options = flag(fields, "stream"), fields.get("stream_options")
    if options is None:
        return stream, False
    if not isinstance(options, dict) or options.keys() - OPTIONS:
        raise InvalidInput(f"stream_options: wanted an object with {' or '.join(sorted(OPTIONS))} alone")
    if not stream:
        raise InvalidInput("stream_options: only for an answer in pieces; send stream: true beside it")
    flag(options, "include_obfuscation", "stream_options.")
    return stream, flag(options, "include_usage", "stream_options.")


def count(fields: Mapping[str, Any]) -> int:
    value = fields.get("n", 1)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInput(f"n: got {shown(value)}, wanted a whole number from 1 on")
    return value


def seed(fields: Mapping[str, Any], copy: int) -> dict[str, Any]:
    """Of the choices for one prompt each has its own; the first has the caller's."""
    value = fields.get("seed")
    if value is None:
        return {}
    if copy and isinstance(value, int) and not isinstance(value, bool):
        return {"seed": (value + copy) % 2**53}
    return {"seed": value}
