"""The limits on one request, whatever its form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Limits:
    """max_bytes: of the payload, as it was sent and once inflated. max_instances: inputs in one request.

    max_values: numbers, texts and the like in a JSON body.
    """

    max_bytes: int
    max_instances: int
    max_values: int

    @cached_property
    def max_lists(self) -> int:
        """Lists hold two values or more, but for images and observations one value wide."""
        return self.max_values // 2

    @cached_property
    def max_objects(self) -> int:
        """Of a JSON body: an instance is one, holds another, and has a few parameters."""
        return 8 * self.max_instances + 16
