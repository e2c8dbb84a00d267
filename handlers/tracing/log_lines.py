"""Trace ids in the log: a line written while a request is processed ends in `trace_id=…`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

MOST = 8  # ids on one line, for a batch

CURRENT: ContextVar[Sequence[str]] = ContextVar("trace_ids", default=())


@contextmanager
def traced(ids: Sequence[str]) -> Iterator[None]:
    """Lines logged in this context end in the trace ids of the requests being processed."""
    token = CURRENT.set(ids)
    try:
        yield
    finally:
        CURRENT.reset(token)


class TraceIds(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        ids = CURRENT.get()
        if ids:
            more = "" if len(ids) <= MOST else f" and of {len(ids) - MOST} more"
            record.msg = f"{record.getMessage()} trace_id={','.join(ids[:MOST])}{more}"
            record.args = ()
        return True


def install() -> None:
    """Add trace ids to all that this process logs from now on."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(TraceIds())
