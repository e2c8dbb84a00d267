"""The error that all these readers raise."""

from __future__ import annotations


class UnsafeFile(Exception):
    """The file does not match its format, or would run code; the message is one sentence without the file's name."""
