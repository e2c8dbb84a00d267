"""Refuses settings in a Hugging Face folder's JSON files that name code or other places, or are absurd counts."""

from __future__ import annotations

import re
from typing import Any

from handlers.formats import json_file
from handlers.formats.errors import UnsafeFile

# Names that transformers imports from the folder or from a hub.
CODE_KEYS = ("auto_map", "custom_pipelines", "trust_remote_code")
# Implementations of a layer; one from a hub, OWNER/NAME, is compiled code.
KERNEL_KEYS = re.compile(r"_?(attn|experts)_implementation(_internal)?")
# Files and repositories that would be read in addition to the folder.
FILE_KEYS = ("gguf_file", "checkpoint_path")
# By key, the characters that mark a place other than timm's registry.
NETWORK_KEYS = {"backbone": "/:", "architecture": ":"}
# Counts that set the length of loops and lists before any weight is read.
COUNTED = "layers?|blocks|heads?|labels|classes|experts|groups|stages|queries"
COUNT_KEYS = re.compile(rf"(num|n)_(\w+_)?({COUNTED})|\w*layers|depths?")
MAX_COUNT = 100_000
MAX_SIDE = 4096  # of an image as a model sees it
MAX_SHOWN = 80  # characters of a value in a message


def check(values: Any, name: str) -> None:
    """Raise UnsafeFile for a value that would run code, lead out of the folder, or be absurd.

    name: the file's, for the message.
    """
    for key, value in json_file.walk(values):
        if key in CODE_KEYS and value:
            raise UnsafeFile(f"{name} names code of its own ({key}), which is not loaded; remove that key")
        if KERNEL_KEYS.fullmatch(key) and any("/" in text for text in texts(value)):
            raise UnsafeFile(f"{name} names a kernel from a hub ({key}), which is code and not loaded; remove that key")
        if key in FILE_KEYS and value:
            raise UnsafeFile(f"{name} names another file ({key}), which is not read; remove that key")
        if not set(NETWORK_KEYS.get(key, "")).isdisjoint(value if isinstance(value, str) else ""):
            shown = repr(value[:MAX_SHOWN])
            raise UnsafeFile(f"{name}: {key}: {shown} would be read from elsewhere; wanted a name without a location")
        if COUNT_KEYS.fullmatch(key):
            check_count(key, value, name)


def texts(value: Any) -> list[str]:
    """The value if it is a text, or the texts among an object's values."""
    candidates = value.values() if isinstance(value, dict) else (value,)
    return [text for text in candidates if isinstance(text, str)]


def check_count(key: str, value: Any, name: str) -> None:
    """Raise UnsafeFile for a count that no model has. Values of other types are left to the library."""
    lowest = 0 if isinstance(value, int) else -MAX_COUNT  # a list may hold layer indices, counted from the end
    for count in value if isinstance(value, list) else (value,):
        if type(count) is int and not lowest <= count <= MAX_COUNT:
            raise UnsafeFile(f"{name}: {key}: got {str_of(count)}; wanted 0 to {MAX_COUNT}")


def str_of(number: int) -> str:
    """The number, or its size if it has thousands of digits, which Python refuses to write."""
    return str(number) if number.bit_length() < 4 * MAX_SHOWN else f"a number of {number.bit_length()} bits"
