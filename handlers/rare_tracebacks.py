"""Internal errors in the log: one line each, with a traceback only now and then, so that they cannot fill a disk."""

from __future__ import annotations

import logging
from time import monotonic

INTERVAL = 10.0  # seconds between two tracebacks of one logger


class RareTracebacks(logging.Filter):
    """Lets a logger's `exception` write a traceback at most every INTERVAL, and only the error in between."""

    def __init__(self) -> None:
        super().__init__()
        self.next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            record.msg = f"{record.getMessage()}: {type(error).__name__}: {str(error)[:200]}"
            record.args = ()
            now = monotonic()
            if now < self.next:
                record.exc_info = None
            else:
                self.next = now + INTERVAL
        return True
