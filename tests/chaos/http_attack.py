"""Bytes that are hardly HTTP/1.1 or HTTP/2: broken lines and chunks, floods, slow callers, callers that leave."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.chaos.inputs.mutations import mutated
from tests.chaos.wire import Wire, pieces, request

Draw = Callable[[st.SearchStrategy[Any]], Any]
LINES = (
    *("POST {} HTTP/1.1", "POST {} HTTP/9.9", "POST {}", "POST  {}  HTTP/1.1", "\x00{}", "GET {} HTTP/1.0", "{}"),
    *("POST {}?" + "a=b&" * 3000 + " HTTP/1.1", "POST http://x:99999{} HTTP/1.1", "PRI * HTTP/2.0", "M" * 9000 + " {}"),
    *("POST {}%zz HTTP/1.1", "POST {}\t HTTP/1.1", "CONNECT {} HTTP/1.1", "post {} http/1.1", "POST *{} HTTP/1.1"),
)
HEADERS = (
    *("Content-Length: -1", "Content-Length: 1e3", "Content-Length: 99999999999999999999", "Content-Length: 5, 6"),
    *("Content-Length: 3\r\nContent-Length: 4", "Transfer-Encoding: chunked\r\nContent-Length: 5", "Content-Length:"),
    *("Transfer-Encoding: gzip, chunked", "Transfer-Encoding: nonsense", "Transfer-Encoding:\tchunked", ": nothing"),
    *("No colon", "Spaced : x", " folded", "A\x00B: c", "X: \x7f\x01", "Host: a\r\nHost: b", "Y: " + "z" * 70_000),
    *("Expect: the impossible", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk", "Connection: upgrade", "Authorization: x"),
)
CHUNKS = (
    *(
        b"0\r\n\r\n",
        b"-1\r\nx\r\n0\r\n\r\n",
        b"zz\r\n",
        b"ffffffffffffffff\r\n",
        b"5\r\nabc\r\n",
        b"3;" + b"x=y;" * 3000,
    ),
    *(
        b"3\nabc\n0\n\n",
        b"3\r\nabcdef\r\n0\r\n\r\n",
        b"0\r\nTrailer: x\r\n" * 50,
        b"00000000000003\r\nabc\r\n0\r\n\r\n",
    ),
)
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@st.composite
def broken_head(draw: Draw, model: str) -> Wire:
    line = draw(st.sampled_from(LINES)).format(f"/predictions/{model}")
    headers = draw(st.lists(st.sampled_from(HEADERS), max_size=3))
    end = draw(st.sampled_from((b"\r\n\r\n", b"\n\n", b"\r\n", b"")))
    head = "\r\n".join([line, "Host: localhost", "Authorization: Bearer @KEY@", *headers]).encode("latin-1")
    return Wire(model, "broken head", (head + end, draw(st.binary(max_size=30))), complete=False)


@st.composite
def flood(draw: Draw, model: str) -> Wire:
    count, size = draw(st.sampled_from(((100, 10), (2000, 10), (10, 9000), (20_000, 1))))
    headers = tuple((f"X-{number}", "y" * size) for number in range(count))
    return Wire(model, "header flood", (request(f"/predictions/{model}", "text/plain", b"x", headers),), complete=False)


@st.composite
def broken_chunks(draw: Draw, model: str) -> Wire:
    head = request(f"/predictions/{model}", "application/json", b"", (("Transfer-Encoding", "chunked"),))
    body = b"".join(draw(st.lists(st.sampled_from(CHUNKS), min_size=1, max_size=3)))
    return Wire(model, "broken chunks", (head, body), complete=False)


@st.composite
def slow(draw: Draw, model: str) -> Wire:
    """A whole request in small pieces, and sometimes not to its end."""
    whole = request(f"/predictions/{model}", "application/json", b'{"data": [0.1, 0.2, 0.3, 0.4]}')
    parts = pieces(whole, draw(st.lists(st.integers(1, len(whole) - 1), min_size=2, max_size=8)))
    if draw(st.booleans()):
        return Wire(model, "slow", parts, pause=0.05)
    return Wire(model, "slow and gone", parts[:-1], pause=0.05, complete=False, leaves=True)


@st.composite
def leaving(draw: Draw, model: str) -> Wire:
    """A caller that goes: in the head, in the body, or with the answer on its way."""
    whole = request(f"/predictions/{model}", "application/json", b'{"data": [' + b"0.1," * 20_000 + b"1]}")
    end = draw(st.sampled_from((1, 40, len(whole) // 2, len(whole) - 1, len(whole))))
    return Wire(model, "leaving", (whole[:end],), complete=False, leaves=True)


@st.composite
def pipelined(draw: Draw, model: str) -> Wire:
    """Several requests at once, of which one may be broken."""
    good = request(f"/predictions/{model}", "application/json", b'{"data": [0.1, 0.2, 0.3, 0.4]}')
    many = [good] * draw(st.integers(2, 20))
    if draw(st.booleans()):
        many[draw(st.integers(0, len(many) - 1))] = draw(mutated([good]))
    return Wire(model, "pipelined", (b"".join(many),), complete=False)


@st.composite
def frames(draw: Draw, model: str) -> Wire:
    """HTTP/2 frames of any type, length and stream, behind the right preface."""
    parts = [PREFACE, frame(4, 0, 0, b"")] if draw(st.integers(0, 9)) else []
    for _ in range(draw(st.integers(1, 12))):
        body = draw(st.binary(max_size=40) | st.sampled_from((bytes(16_384), bytes(20_000))))
        parts.append(frame(draw(st.integers(0, 12)), draw(st.integers(0, 255)), draw(st.integers(0, 2**31 - 1)), body))
    copies = draw(st.sampled_from((1, 1, 1, 200)))
    return Wire(model, "HTTP/2 frames", (b"".join(parts), parts[-1] * copies), complete=False)


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    """RFC 9113, 4.1."""
    return len(body).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + body


WAYS = (broken_head, broken_head, flood, broken_chunks, slow, leaving, pipelined, frames)


def strategy(models: Sequence[str]) -> st.SearchStrategy[Wire]:
    return st.one_of(*(way(model) for model in models for way in WAYS))
