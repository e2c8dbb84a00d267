"""A policy with inputs that do to a worker what a hostile one may: packed into an archive by the tests."""

import ctypes
import os
import resource
import signal
import time
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlers.policy.policy import Policy, PolicyInput, PolicyOutput
from handlers.protocol.payload import Payload
from handlers.torchserve.response_stream import ResponseStream

HELD: list[NDArray[np.uint8]] = []


def spin() -> None:
    """For minutes in C, where nothing of Python's interrupts it and no other thread of Python's runs."""
    sum(range(10**11))


def once(what: int) -> bool:
    """Whether a worker of this archive does this for the first time."""
    try:
        Path(f"done-{what}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Trouble(Policy):
    """The second number of an observation, a speed without bounds, says which; a healthy one is smaller than 100."""

    asked: Set[int] = frozenset()

    def decode(self, payload: Payload) -> PolicyInput:
        item = super().decode(payload)
        what = int(item.values[0][1])
        if what == 101:
            spin()
        elif what == 102:
            time.sleep(600)
        elif what == 103:
            os.kill(os.getpid(), signal.SIGSEGV)
        elif what == 104:
            HELD.append(np.ones(200 << 20, np.uint8))
        elif what == 105 and once(what):
            time.sleep(600)
        elif what == 106 and once(what):
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == 107:
            time.sleep(0.6)
        elif what == 108:
            os._exit(3)
        elif what == 109:
            ctypes.string_at(0)
        elif what == 110:
            resource.setrlimit(resource.RLIMIT_AS, (0, 0))  # a library in C that finds no memory, and does not look
            ctypes.memset(ctypes.CDLL(None).malloc(ctypes.c_size_t(1 << 30)), 0, 1)
        return item

    def decode_request(self, row: Mapping[str, Any], headers: Mapping[str, Any], stream: ResponseStream) -> Any:
        state = super().decode_request(row, headers, stream)
        for item in state.items:
            if item.values[0][1] == 113:
                stream.send(b"{}", "application/json")
        return state

    def predict(self, items: Sequence[PolicyInput]) -> Sequence[PolicyOutput]:
        asked = {int(item.values[0][1]) for item in items}
        if asked & {111, 113}:
            spin()
        if 115 in asked:
            time.sleep(600)
        if 112 in asked:
            os.kill(os.getpid(), signal.SIGKILL)
        self.asked = asked
        return super().predict(items)

    def handle(self, data: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        bodies = super().handle(data, context)
        if 114 in self.asked and once(114):  # before TorchServe's worker has made a frame of them
            os.kill(os.getpid(), signal.SIGKILL)
        return bodies
