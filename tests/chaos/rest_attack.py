"""Hostile requests that are good HTTP: any body in any form, with any headers."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.chaos.inputs import json_bodies
from tests.chaos.inputs.bodies import Body, for_model
from tests.chaos.wire import Wire, request

Draw = Callable[[st.SearchStrategy[Any]], Any]
TYPES = (
    *("image/jpeg", "image/png; q=1", "IMAGE/WEBP", "audio/wav", "audio/ogg;codecs=opus", "audio/mpeg", "video/webm"),
    *("text/plain", "text/plain; charset=iso-8859-1", "text/plain; charset=utf-16", "text/plain; charset=klingon"),
    *("application/json", "application/json; charset=utf-8", "application/octet-stream", "charset=binary", "*/*", ""),
    *("application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed"),
    *("multipart/form-data; boundary=\x01", "a/b;" + "c=d;" * 200, "/", ";", "application/vnd.custom+json"),
)
HEADERS = (
    *(("Accept", value) for value in ("image/png", "application/json;q=0", "*/*;q=nonsense", "x" * 3000, ",,,", "a/b")),
    *((name, value) for name in ("describe", "Describe", "DESCRIBE", "explain", "Explain") for value in ("True", "x")),
    *(("X-Request-Id", value) for value in ("x" * 4000, "a\tb", "../../etc/passwd", "%0d%0aX: y", "\xff\xfe")),
    *(("Content-Encoding", value) for value in ("gzip", "br", "identity", "gzip, gzip")),
    *(("Expect", "100-continue"), ("Cookie", "a=b; " * 300), ("TE", "trailers"), ("Range", "bytes=0-")),
    *(("Inference-Header-Content-Length", value) for value in ("0", "10", "-1", "99999999999")),
    *(("X-Forwarded-For", "127.0.0.1"), ("x-client", "admin"), ("ts_request_sequence_id", "1"), ("data", "x")),
)
NAMES = (
    "data",
    "body",
    "image",
    "text",
    "",
    "top_k",
    "stream",
    "describe",
    "content-type",
    'a"b',
    "x" * 3000,
    "é",
    ".",
)
TRANSFERS = ("binary", "8bit", "7bit", "base64", "quoted-printable", "nonsense", "")
BOUNDARIES = ("x", "-" * 70, "a'()+_,-./:=?", "b" * 300, '"quoted"', "")
VERSIONS = ("", "", "", "/1.0", "/2.0", "/%2e%2e", "/1.0/extra", "/" + "9" * 500)


@st.composite
def one_request(draw: Draw, model: str) -> Wire:
    body = draw(for_model(model))
    headers = tuple(draw(st.lists(st.sampled_from(HEADERS), max_size=2)))
    way = draw(st.sampled_from(("raw", "raw", "typed", "form", "form", "kserve", "path", "chunked", "gzip")))
    path, kind = f"/predictions/{model}", f"{body.kind}, {way}"
    if way == "raw":
        return Wire(model, kind, (request(path, body.content_type, body.data, headers),))
    if way == "typed":
        types = st.none() | st.sampled_from(TYPES)
        return Wire(model, kind, (request(path, draw(types), body.data, headers),))
    if way == "form":
        content_type, data = draw(form(body))
        return Wire(model, kind, (request(path, content_type, data, headers),))
    if way == "kserve":
        path = draw(st.sampled_from((f"/v1/models/{model}:predict", f"/v2/models/{model}/infer")))
        return Wire(model, kind, (request(path, "application/json", body.data, headers),))
    if way == "path":
        route = draw(st.sampled_from(("/predictions/", "/explanations/", "/v1/models/", "/")))
        path = route + draw(st.sampled_from((model, f"{model}%00", "nothing", "%2e%2e", "x" * 2000, "")))
        method = draw(st.sampled_from(("POST", "GET", "PUT", "DELETE", "OPTIONS", "PATCH")))
        path += draw(st.sampled_from(VERSIONS))
        return Wire(model, kind, (request(path, body.content_type, body.data, headers, method),))
    if way == "chunked":
        size = draw(st.sampled_from((1000, 4096, 100_000)))
        pieces = [body.data[at : at + size] for at in range(0, len(body.data), size)][:400]
        chunks = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces) + b"0\r\n\r\n"
        head = request(path, body.content_type, b"", (*headers, ("Transfer-Encoding", "chunked")))
        return Wire(model, kind, (head + chunks,))
    data = gzip.compress(body.data * draw(st.sampled_from((1, 1, 20))))
    others = tuple(header for header in headers if header[0] != "Content-Encoding")
    return Wire(model, kind, (request(path, body.content_type, data, (*others, ("Content-Encoding", "gzip"))),))


@st.composite
def form(draw: Draw, body: Body) -> tuple[str, bytes]:
    """(content type, body) of a form: the input under some name, beside parameters; unlike any browser's."""
    boundary = draw(st.sampled_from(BOUNDARIES))
    parts = [part(draw, draw(st.sampled_from(NAMES)), body.data, body.content_type)]
    for name in draw(st.lists(st.sampled_from((*json_bodies.PARAMETERS, *NAMES)), max_size=3)):
        value = draw(st.sampled_from((b"1", b"-1", b"nan", b"true", b"\xff", b"", b"9" * 400, b"[1]")))
        parts.append(part(draw, name, value, ""))
    line = b"--" + boundary.strip('"').encode()
    data = b"".join(line + b"\r\n" + one + b"\r\n" for one in parts)
    data += draw(st.sampled_from((line + b"--\r\n", line + b"--\r\n", line + b"--\r\n", line, b"")))
    return f"multipart/form-data; boundary={boundary}", data


def part(draw: Draw, name: str, value: bytes, content_type: str) -> bytes:
    file = draw(st.sampled_from(("", '; filename="a.jpg"', "; filename=", "; filename*=UTF-8''%ff")))
    lines = [f'Content-Disposition: form-data; name="{name}"{file}']
    if content_type or draw(st.booleans()):
        lines.append(f"Content-Type: {draw(st.sampled_from((content_type, content_type, *TYPES)))}")
    if draw(st.integers(0, 3)) == 0:
        lines.append(f"Content-Transfer-Encoding: {draw(st.sampled_from(TRANSFERS))}")
    if draw(st.integers(0, 9)) == 0:
        lines = draw(st.sampled_from(([], ["Content-Disposition: attachment"], ["nonsense"], lines * 2)))
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + value


def strategy(models: Sequence[str]) -> st.SearchStrategy[Wire]:
    return st.one_of(*(one_request(model) for model in models))
