"""A task's answers as the objects of a call, whole or as events."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import orjson

from handlers.errors import RequestError
from handlers.protocol.openai.call import CHAT, EMBEDDINGS, EVENTS, PREFIXES, TRANSCRIPTIONS, Call
from handlers.protocol.openai.subtitles import srt, vtt
from handlers.protocol.response import JSON, Response, to_json

# The task's reasons beside "length"; a text that ran out of time has been cut off as well.
FINISHED = {"eos_token": "stop", "stop_sequence": "stop"}
PARAMETER = re.compile(r"\"?([a-z_]+(?:[.\[][\w.\[\]]*)?)\"?: ")
DONE = b"data: [DONE]\n\n"
TEXT, VTT = "text/plain; charset=utf-8", "text/vtt; charset=utf-8"


def response(call: Call, answers: Sequence[bytes], read: Sequence[int]) -> Response:
    """answers: to the call's inputs, in JSON. read: tokens of each input."""
    found = [orjson.loads(answer) for answer in answers]
    if call.path == TRANSCRIPTIONS:
        return transcript(call, found[0])
    if call.path == EMBEDDINGS:
        return embeddings(call, found, read)
    written = sum(answer["tokens"]["written"] for answer in found)
    counts = usage(sum(read[:: call.copies]), written)
    if call.stream:
        return Response(last_pieces(call, found, counts), EVENTS)
    choices = [choice(call, index, answer["text"], answer) for index, answer in enumerate(found)]
    return Response(to_json({**head(call), "choices": choices, "usage": counts}))


def head(call: Call, piece: bool = False) -> dict[str, Any]:
    kind = ("chat.completion.chunk" if piece else "chat.completion") if call.path == CHAT else "text_completion"
    return {"id": PREFIXES[call.path] + call.id, "object": kind, "created": call.created, "model": call.model}


def usage(read: int, written: int | None = None) -> dict[str, int]:
    whole = {"prompt_tokens": read, "total_tokens": read + (written or 0)}
    return whole if written is None else {**whole, "completion_tokens": written}


def choice(call: Call, index: int, text: str, answer: dict[str, Any]) -> dict[str, Any]:
    reason = FINISHED.get(answer["finish_reason"], "length")
    said = {"message": {"role": "assistant", "content": text, "refusal": None}} if call.path == CHAT else {"text": text}
    return {"index": index, **said, "logprobs": None, "finish_reason": reason}


def event(value: Any) -> bytes:
    return b"data: " + to_json(value) + b"\n\n"


def piece(call: Call, index: int, text: str) -> bytes:
    """A part of one choice, as an event. index: of the choice."""
    made = part(call, index, text)
    call.sent[index] = call.sent.get(index, "") + text
    return event(made)


def part(call: Call, index: int, text: str, reason: str | None = None) -> dict[str, Any]:
    """The first part of a message says whose it is."""
    if call.path == TRANSCRIPTIONS:
        return {"type": "transcript.text.delta", "delta": text}
    own: dict[str, Any] = {"text": text}
    if call.path == CHAT:
        role = {} if index in call.sent else {"role": "assistant"}
        own = {"delta": {**role, "content": text} if text or role else {}}
    made = {**head(call, piece=True), "choices": [{"index": index, **own, "logprobs": None, "finish_reason": reason}]}
    return {**made, "usage": None} if call.usage else made


def last_pieces(call: Call, answers: Sequence[dict[str, Any]], counts: dict[str, int]) -> bytes:
    """The rest of each choice, why it ended, and the end of the stream."""
    events = []
    for index, answer in enumerate(answers):
        if answer["text"]:
            events.append(piece(call, index, answer["text"]))
        events.append(event(part(call, index, "", FINISHED.get(answer["finish_reason"], "length"))))
    if call.usage:
        events.append(event({**head(call, piece=True), "choices": [], "usage": counts}))
    return b"".join([*events, DONE])


def embeddings(call: Call, answers: Sequence[dict[str, Any]], read: Sequence[int]) -> Response:
    """Beside the vector of a text that was cut stands by how much."""
    data = [
        {"object": "embedding", "index": index, **answer, "embedding": vector(answer["embedding"], call.form)}
        for index, answer in enumerate(answers)
    ]
    return Response(to_json({"object": "list", "data": data, "model": call.model, "usage": usage(sum(read))}))


def vector(numbers: list[float], form: str) -> list[float] | str:
    """In base64, the bytes of little-endian numbers of 32 bits."""
    return numbers if form == "float" else base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()


def transcript(call: Call, answer: dict[str, Any]) -> Response:
    text, seconds = answer["text"], answer["seconds"]
    length = {"type": "duration", "seconds": ceil(seconds)}
    if call.stream:
        events = [piece(call, 0, text)] if text else []
        done = {"type": "transcript.text.done", "text": call.sent.get(0, ""), "usage": length}
        return Response(b"".join([*events, event(done)]), EVENTS)
    if call.form == "text":
        return Response(f"{text}\n".encode(), TEXT)
    if call.form == "json":
        return Response(to_json({"text": text, "usage": length}))
    if call.form in ("srt", "vtt"):
        segments = answer.get("segments", [])
        made = (srt(segments), TEXT) if call.form == "srt" else (vtt(segments), VTT)
        return Response(made[0].encode(), made[1])
    body = {"task": "transcribe", "language": answer.get("language"), "duration": seconds, "text": text}
    body["segments"] = [{"id": index, **each} for index, each in enumerate(answer.get("segments", []))]
    if "words" in answer:
        body["words"] = [{"word": each["text"], "start": each["start"], "end": each["end"]} for each in answer["words"]]
    return Response(to_json({**body, "usage": length}))


def failed(error: RequestError, call: Call | None) -> Response:
    """call: None where the request could not be read. Of an answer that has begun, the error is its last event."""
    message = error.message
    names = call.names if call else {}
    own = next((name for name in names if message.startswith(f"{name}: ")), "")
    if own:
        message = names[own] + message[len(own) :]
    found = PARAMETER.match(message)
    body = to_json(
        {
            "error": {
                "message": message,
                "type": error.type,
                "param": found[1] if found else None,
                "code": error.code,
            }
        }
    )
    if call and call.sent:
        return Response(b"data: " + body + b"\n\n", EVENTS, error.code)
    return Response(body, JSON, error.code)
