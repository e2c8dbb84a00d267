"""A model that computes nothing and takes its time, in an archive of its own (tests/containers/sizing.py)."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence

from handlers.base import Handler
from handlers.protocol.payload import InputType, Payload
from handlers.protocol.response import Response

MEAN, DEVIATION = 0.06, 0.03  # seconds, of a lognormal distribution


class Sleeping(Handler[object, bytes]):
    input_type = InputType.MEDIA

    def load(self) -> None:
        self.chance = random.Random()
        variance = math.log(1 + (DEVIATION / MEAN) ** 2)
        self.parameters = math.log(MEAN) - variance / 2, math.sqrt(variance)

    def decode(self, payload: Payload) -> object:
        return payload.data

    def predict(self, items: Sequence[object]) -> Sequence[bytes]:
        for _ in items:
            time.sleep(self.chance.lognormvariate(*self.parameters))
        return [b"{}"] * len(items)

    def encode(self, item: object, output: bytes, media_type: str) -> Response:
        return Response(output)
