"""The messages of a chat: turns with a role and a text."""

from __future__ import annotations

from typing import Any

from handlers.errors import InvalidInput, MalformedInput, shown

# Newer models' name of the system's role, which chat templates do not know.
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
KEYS = {"role", "content", "name"}


def turns_of(messages: Any) -> list[dict[str, str]]:
    """[{"role", "content", and a "name" where there is one}, …], as chat templates take them."""
    if not isinstance(messages, list) or not messages:
        raise MalformedInput(f"messages: got {shown(messages)}, wanted a list with at least one message")
    return [turn(message, f"messages[{index}]") for index, message in enumerate(messages)]


def turn(message: Any, place: str) -> dict[str, str]:
    if not isinstance(message, dict):
        raise MalformedInput(f"{place}: got {shown(message)}, wanted an object with role and content")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise InvalidInput(f"{place}.role: got {shown(role)}, wanted {', '.join(ROLES)}; tools are not supported")
    # Empty ones are what clients send back of an answer: refusal, audio, tool_calls, annotations.
    others = [key for key, value in message.items() if key not in KEYS and value not in (None, [], {})]
    if others:
        raise InvalidInput(f"{place}.{min(others)[:40]}: not taken; a message has a role and a text as its content")
    found = {"role": ROLES[role], "content": text_of(message.get("content"), f"{place}.content")}
    name = message.get("name")
    if name is not None:
        if not isinstance(name, str):
            raise InvalidInput(f"{place}.name: got {shown(name)}, wanted a text")
        found["name"] = name
    return found


def text_of(content: Any, place: str) -> str:
    """A text, or parts of one, which are joined by line breaks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise InvalidInput(f"{place}: got {shown(content)}, wanted a text, or a list of parts of type text")
    texts = []
    for index, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text":
            got = shown(kind if isinstance(part, dict) else part)
            raise InvalidInput(f"{place}[{index}].type: got {got}; this model reads text alone")
        if not isinstance(part.get("text"), str):
            raise InvalidInput(f"{place}[{index}].text: got {shown(part.get('text'))}, wanted a text")
        texts.append(part["text"])
    return "\n".join(texts)
