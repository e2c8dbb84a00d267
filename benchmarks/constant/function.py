"""A constant answer in TorchServe's simplest form: a function, alone in its archive (benchmarks/constant/)."""

from __future__ import annotations

from typing import Any

ANSWER = b'{"predictions":[]}'


def handle(data: Any, context: Any) -> list[bytes]:
    # TorchServe initialises a function by calling it without data.
    return [ANSWER] * len(data) if data is not None else []
