"""Until when a request's caller waits; one whose turn comes later is not computed for nobody."""

from __future__ import annotations

from math import isfinite
from time import time

from handlers.errors import DeadlineExceeded, MalformedInput, shown

# Seconds since 1970 by this machine's clock, as the edge sets them, or a client on this machine. Over gRPC, an entry.
HEADER = "x-request-deadline"
# Seconds; no request waits so long, so whoever is later has another clock, or the clock has been set.
ANOTHER_CLOCK = 3600


def check(deadline: str) -> None:
    """deadline: the header's value. Raises DeadlineExceeded, or MalformedInput."""
    try:
        end = float(deadline)
    except ValueError:
        end = float("nan")
    if not isfinite(end):
        raise MalformedInput(f"{HEADER}: got {shown(deadline)}, wanted seconds since 1970")
    late = time() - end
    if 0 < late < ANOTHER_CLOCK:
        raise DeadlineExceeded(f"the caller's deadline had passed {late:.1f} s before the request's turn came")
