"""The model that a call names in its body, found without making objects of the rest.

The handler reads the body by itself, and refuses a call that names another model.
"""

from __future__ import annotations

import re

from client.explanations import is_explainer
from deploy.edge.management import NAME

# Possessive, and to the end of the body where a string has none: each byte is looked at once.
TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)|[{}\[\]]', re.DOTALL)
VALUE = re.compile(rb'[ \t\r\n]*+:[ \t\r\n]*+"([^"\\]*+)"')
BOUNDARY = re.compile(r'boundary="?([^";]{1,70})(?=[";]|$)', re.IGNORECASE)
PART = re.compile(rb'[; \t]name="?model"?[; \t\r]')
MAX_NAME = 128


def is_name(name: str) -> bool:
    """Whether a path can be made of it that leads to a model and to nothing else."""
    return re.fullmatch(NAME, name, re.ASCII) is not None and not is_explainer(name)


def in_json(body: bytes) -> str | None:
    """The value of the key "model" of an object; None if it is missing or not a plain text."""
    depth = 0
    for token in TOKEN.finditer(body):
        if token[0] == b'"model"' and depth == 1:
            value = VALUE.match(body, token.end())
            if value:
                return value[1].decode(errors="replace")
        elif token[0] in (b"{", b"["):
            depth += 1
        elif token[0] in (b"}", b"]"):
            depth -= 1
    return None


def in_form(body: bytes, content_type: str) -> str | None:
    """The value of the part "model"; None where there is none."""
    found = BOUNDARY.search(content_type)
    if found is None:
        return None
    mark = b"--" + found[1].encode()
    start = body.find(mark)
    while start >= 0:
        head = body.find(b"\r\n\r\n", start)
        if head < 0:
            return None
        if PART.search(body, start, head + 1):
            end = body.find(b"\r\n" + mark, head + 2)
            text = body[head + 4 : max(end, 0)]
            return text.decode(errors="replace") if end >= 0 and len(text) <= MAX_NAME else None
        start = body.find(mark, head)
    return None
