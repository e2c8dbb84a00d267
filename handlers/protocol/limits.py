"""What one request may bring at most, whatever its form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """max_bytes: of the payload, as it was sent and once inflated. max_instances: inputs in one request.

    max_values: values, and lists and objects, of a JSON body; None for texts, where commas and brackets say nothing.
    """

    max_bytes: int
    max_instances: int
    max_values: int | None = None
