"""Handlers of versions that a rollout is to take back. Their sample, whose first number is small, they answer well."""

import ctypes
import time
from collections.abc import Sequence
from typing import Any

from handlers.policy.policy import Policy, PolicyInput
from handlers.protocol.payload import Payload

SMALL = 0.2


def is_call(items: Sequence[PolicyInput]) -> bool:
    return any(item.values[0, 0] > SMALL for item in items)


class Throwing(Policy):
    def predict(self, items: Sequence[PolicyInput]) -> Any:
        if is_call(items):
            raise RuntimeError("as the test asked")
        return super().predict(items)


class Deadly(Policy):
    """Follows a null pointer where the first number is large."""

    def decode(self, payload: Payload) -> PolicyInput:
        item = super().decode(payload)
        if item.values[0][0] > 3:
            ctypes.string_at(0)
        return item


class Slow(Policy):
    def predict(self, items: Sequence[PolicyInput]) -> Any:
        if is_call(items):
            time.sleep(0.1)
        return super().predict(items)


class Mistaken(Policy):
    def load(self) -> None:
        super().load()
        self.labels = self.labels[::-1]


class NeverStarting(Policy):
    def initialize(self, context: Any) -> None:
        if context.metrics is not None:  # in a worker
            raise RuntimeError("as the test asked")
        super().initialize(context)
