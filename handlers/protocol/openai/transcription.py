"""Calls of audio/transcriptions, a form with a file, as requests of speech recognition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handlers.errors import InvalidInput, shown
from handlers.protocol.openai.call import UNITS, Call
from handlers.protocol.openai.fields import check, model_of
from handlers.protocol.payload import Parameters, Payload, Request

FORMS = ("json", "text", "srt", "vtt", "verbose_json")
PIECES = ("json", "text")
WORD, SEGMENT = "word", "segment"
TAKEN = ("language", "prompt", "response_format", "temperature", "stream", "chunking_strategy", *UNITS)


def from_form(data: bytes, parts: Mapping[str, Any], path: str) -> Request:
    """data: of the file. parts: the others' texts; those that were sent more than once have a list of them."""
    fields = check({name: value or None for name, value in parts.items()}, TAKEN, path)
    form = fields.get("response_format", FORMS[0])
    if form not in FORMS:
        raise InvalidInput(f"response_format: got {shown(form)}, wanted {', '.join(FORMS)}")
    if "prompt" in fields:
        raise InvalidInput("prompt: this server does not offer it, leave it out")
    if fields.get("chunking_strategy", "auto") != "auto":
        raise InvalidInput("chunking_strategy: wanted auto; long recordings are heard by overlapping windows")
    if fields.get("temperature", "0") not in ("0", "0.0"):
        raise InvalidInput(f"temperature: got {shown(fields['temperature'])}, wanted 0: the most probable text")
    stream = fields.get("stream", "false").lower()
    if stream not in ("true", "false"):
        raise InvalidInput(f"stream: got {shown(stream)}, wanted true or false")
    if stream == "true" and form not in PIECES:
        raise InvalidInput(f"stream: a transcript in {form} comes whole; wanted response_format {' or '.join(PIECES)}")
    parameters = {"timestamps": unit_of(fields, form), "stream": stream}
    if "language" in fields:
        parameters["language"] = fields["language"]
    names = {"timestamps": UNITS[1] if units_of(fields) else "response_format"}
    call = Call(path, model_of(fields), stream == "true", form=form, names=names)
    return Request([Payload(data, "", Parameters(parameters))], dialect="openai", call=call)


def units_of(fields: Mapping[str, Any]) -> list[str]:
    sent = [each for name in UNITS for each in as_list(fields.get(name, []))]
    return list(dict.fromkeys(sent))


def as_list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def unit_of(fields: Mapping[str, Any], form: str) -> str:
    """The parts of the transcript that get timestamps: word, segment or none."""
    units = units_of(fields)
    if units and form != "verbose_json":
        raise InvalidInput(f"{UNITS[1]}: for response_format verbose_json; got {form}")
    if any(unit not in (WORD, SEGMENT) for unit in units):
        raise InvalidInput(f"{UNITS[1]}: got {shown(units[0])}, wanted {WORD} or {SEGMENT}")
    if len(units) > 1:
        raise InvalidInput(f"{UNITS[1]}: got both; an answer has the times of words or of segments, send one")
    if units:
        return units[0]
    return "none" if form in PIECES else SEGMENT
