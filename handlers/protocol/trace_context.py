"""The trace that a request belongs to, as its caller or an edge sends it: W3C Trace Context, and when it left the edge.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PARENT, STATE = "traceparent", "tracestate"
# Microseconds since 1970 by the clock of the edge, when it let the request go.
START = "x-request-start"
NAMES = (PARENT, STATE, START)
LONGEST = 512  # characters, as the standard has it of a tracestate
EARLIEST = 600_000_000_000  # ns before now: an older start is a clock's mistake


def carried(row: Mapping[str, Any], headers: Mapping[str, Any]) -> dict[str, str]:
    """Those of NAMES that a request has: HTTP headers, over gRPC entries of the input map.

    row, headers: as `handlers.protocol.request.parse` takes them. One that cannot be meant is left out: a request is
    never refused because of its trace.
    """
    lower = {str(name).lower(): value for name, value in headers.items()}
    found = {}
    for name in NAMES:
        value = lower.get(name)
        if not isinstance(value, str):  # over gRPC, a mapping for each entry
            value = row.get(name)
        if isinstance(value, bytes | bytearray) and len(value) <= LONGEST:
            value = bytes(value).decode("ascii", "replace")
        if isinstance(value, str) and len(value) <= LONGEST:
            found[name] = value
    return found


def started(value: str, now: int) -> int | None:
    """A START as nanoseconds since 1970; None where it is not one, or not shortly before `now` (also ns)."""
    if not (value.isascii() and value.isdecimal() and len(value) <= 20):
        return None
    start = 1000 * int(value)
    return start if now - EARLIEST < start <= now else None
