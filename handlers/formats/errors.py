"""The one error of these readers."""

from __future__ import annotations


class UnsafeFile(Exception):
    """The file is not what its format says, or would run code; the message is one sentence without its name."""
