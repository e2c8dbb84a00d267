"""The fields of a call's body: which are taken, which change nothing and are let be, and which are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from handlers.errors import InvalidInput, MalformedInput, shown

# Of these, any value: they are for the caller's own records, or for a service that bills.
IGNORED = {
    *("user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "service_tier"),
    "parallel_tool_calls",
}
# Of these, the values that ask for nothing.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "store": (False,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "presence_penalty": (0, 0.0),
    "frequency_penalty": (0, 0.0),
    "logit_bias": ({},),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "echo": (False,),
    "best_of": (1,),
    "suffix": ("",),
}


def check(value: Mapping[str, Any], taken: Iterable[str], path: str) -> dict[str, Any]:
    """The fields that a call takes, without those that are null. InvalidInput for one that would change the answer."""
    names = {"model", *taken}
    found = {}
    for name, each in value.items():
        if each is None or name in IGNORED:
            continue
        if name in names:
            found[name] = each
        elif name not in NEUTRAL:
            raise InvalidInput(f"{shown(name)}: not a parameter of /v1/{path}; those taken: {', '.join(sorted(names))}")
        elif not any(type(each) is type(neutral) and each == neutral for neutral in NEUTRAL[name]):
            raise InvalidInput(f"{name}: got {shown(each)}; this server does not offer it, leave it out")
    return found


def model_of(fields: Mapping[str, Any]) -> str:
    name = fields.get("model")
    if not isinstance(name, str) or not name:
        raise MalformedInput(f"model: got {shown(name)}, wanted the name of a model")
    return name


def flag(fields: Mapping[str, Any], name: str, place: str = "") -> bool:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidInput(f"{place}{name}: got {shown(value)}, wanted true or false")
    return bool(value)
