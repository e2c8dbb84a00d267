"""Checks of JSON values: each yields a fault, with its key and what was wanted, for everything that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from math import isfinite
from typing import Any

from handlers.formats.configuration import MAX_SHOWN, str_of

Fault = tuple[str, str]  # the key's path, such as `observation.shape[0]`, and what is wrong there
Check = Callable[[str, Any], Iterator[Fault]]

MISSING = "missing"


def wanted(what: str, where: str, value: Any) -> Fault:
    return where, f"wanted {what}; got {shown(value)}"


def shown(value: Any) -> str:
    """A value for an error message, bounded: of lists and objects only the kind."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if type(value) is int:
        return str_of(value)
    text = repr(value[:MAX_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def under(where: str, key: Any) -> str:
    """The path of a key in an object: bounded, and without characters that control a terminal."""
    known = str(key)[:MAX_SHOWN]
    return f"{where}.{known if known.isprintable() else ascii(known)}"


def whole(least: int, most: int) -> Check:
    def check(where: str, value: Any) -> Iterator[Fault]:
        if type(value) is not int or not least <= value <= most:
            yield wanted(f"a whole number from {least} to {most}", where, value)

    return check


def number(least: float, most: float) -> Check:
    """A finite number; NaN, infinities, booleans and strings are not."""

    def check(where: str, value: Any) -> Iterator[Fault]:
        if type(value) not in (int, float) or not least <= value <= most or not isfinite(value):
            yield wanted(f"a number from {least:g} to {most:g}", where, value)

    return check


def one_of(*choices: str) -> Check:
    def check(where: str, value: Any) -> Iterator[Fault]:
        if not isinstance(value, str) or value not in choices:
            yield wanted(f"one of {', '.join(choices)}", where, value)

    return check


def flag(where: str, value: Any) -> Iterator[Fault]:
    if not isinstance(value, bool):
        yield wanted("true or false", where, value)


def text(where: str, value: Any) -> Iterator[Fault]:
    if not isinstance(value, str):
        yield wanted("a string", where, value)


def name(where: str, value: Any) -> Iterator[Fault]:
    if not isinstance(value, str) or not value:
        yield wanted("a string that is not empty", where, value)


def mapping(where: str, value: Any) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        yield wanted("an object", where, value)


def optional(check: Check) -> Check:
    """null, or what `check` accepts."""

    def either(where: str, value: Any) -> Iterator[Fault]:
        if value is not None:
            yield from check(where, value)

    return either


def list_of(check: Check, least: int, most: int) -> Check:
    """A list of `least` to `most` elements, each accepted by `check`."""

    def each(where: str, value: Any) -> Iterator[Fault]:
        if not isinstance(value, (list, tuple)) or not least <= len(value) <= most:
            length = f"{least}" if least == most else f"{least} to {most}"
            yield wanted(f"a list of {length}", where, value)
            return
        for index, element in enumerate(value):
            yield from check(f"{where}[{index}]", element)

    return each


def keys(required: Mapping[str, Check], others: Mapping[str, Check] | None = None, closed: bool = True) -> Check:
    """An object with all keys of `required`; closed: and with no keys but those and the ones of `others`."""
    known = {**required, **(others or {})}

    def check(where: str, value: Any) -> Iterator[Fault]:
        if not isinstance(value, Mapping):
            yield wanted("an object", where, value)
            return
        for key in required:
            if key not in value:
                yield f"{where}.{key}", MISSING
        for key in value:
            if key in known:
                yield from known[key](f"{where}.{key}", value[key])
            elif closed:
                yield under(where, key), f"unknown key; {names_of(known)}"

    return check


def names_of(known: Collection[str]) -> str:
    return f"known keys: {', '.join(known)}" if known else "no keys are known"
