"""How far a worker is with its batch, in memory that outlives it, and what it takes over from a worker before it.

A process stays beside each worker and looks there (zygote/keeper.py, which hands over the memory). It ends a worker
that takes too long over one request, and lets another go on with the batch, whose bytes are in the same memory. The
layout is described in both files, and a test compares them.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from handlers.errors import InternalError, RequestError, TooSlow, Unavailable
from handlers.torchserve.outgoing import Outgoing

# Of the environment, in JSON: the open files of the memory, of a socket to the keeper, and of the memory for what is
# sent; and, of a worker that takes over, how it treats the batch.
FILES, PLAN = "ZYGOTE_FILES", "ZYGOTE_PLAN"
# Bytes before the message: WORDS of 64 bits, then from SLOTS on a byte for each request, as many as a queue can hold.
HEADER = 1 << 17
WORDS = ("phase", "batch", "requests", "filled", "call")
PHASE, BATCH, REQUESTS, FILLED, CALL = range(len(WORDS))
WAITING, WORKING, ANSWERING = range(3)  # phases; a message that is being received is waited for
SLOTS = 64
# In a slot: the work that is under way on this request alone, and whether pieces of its answer have been sent.
DECODING, PREDICTING, ENCODING = 1, 2, 3
SENT = 0x80
# A request of 640 × 480 pixels as JPEG is 100 KB; the buffer grows to the largest batch that came.
BUFFER = 1 << 20

VERDICTS: Mapping[str, RequestError] = {
    "slow": TooSlow("the work on this request takes longer than the model's time for one"),
    "died": InternalError("the worker's process ended while it worked on this input, which is not tried again"),
    "sent": InternalError("the worker was replaced while it sent this answer; ask again"),
    "left": Unavailable("the requests of this batch took its time before this one was answered; try again"),
}


def own_memory() -> int:
    """Bytes of this process in memory, less those of files and of memory that it shares."""
    with Path("/proc/self/statm").open(encoding="ascii") as file:
        fields = file.read().split()
    return (int(fields[1]) - int(fields[2])) * mmap.PAGESIZE


class Progress:
    """files: as in FILES; without them the memory is the process's own, and nobody looks.

    plan: `verdicts`, by index, on requests of the batch that is taken over, and `others`, on the rest of them: a key of
    VERDICTS or None; `one_by_one`: whether they are predicted each by itself.
    """

    def __init__(self, files: Sequence[int] = (), plan: Mapping[str, Any] | None = None) -> None:
        file, *more = files or [os.memfd_create("batch")]
        os.ftruncate(file, max(os.fstat(file).st_size, HEADER + BUFFER))
        self.header = mmap.mmap(file, HEADER)
        self.message = mmap.mmap(file, os.fstat(file).st_size - HEADER, offset=HEADER)
        os.close(file)
        # Written for each request: a piece of work is set where it begins, and only SENT is kept where it ends.
        self.words = memoryview(self.header)[:SLOTS].cast("q")
        self.slots = memoryview(self.header)[SLOTS:]
        self.control = socket.socket(fileno=more[0]) if more else None
        self.outgoing = Outgoing(more[1]) if more[1:] else None
        self.plan = plan or {}
        self.takes_over = plan is not None
        self.refused: Mapping[int, RequestError] = {}  # requests of the batch that are not to be read
        self.calls = 0
        self.described: dict[str, Any] = {}

    def describe(self, context: Any) -> None:
        """Remember what another worker needs to load the same model, and how long it may take over what.

        context: TorchServe's.
        """
        properties, configuration = context.system_properties, context.model_yaml_config
        load = {
            "modelPath": properties["model_dir"],
            "modelName": context.model_name,
            "handler": context.manifest["model"]["handler"],
            "gpu": properties.get("assigned_gpu", properties.get("gpu_id")),
            "batchSize": properties["batch_size"],
        }
        times = {
            "request_s": configuration["handler"]["request_s"],
            "response_s": configuration["responseTimeout"],
            "delay_s": configuration["maxBatchDelay"] / 1000,
        }
        self.described = {"pid": os.getpid(), **times, "load": load}

    def hand_over(self, connection: socket.socket) -> None:
        """Give the keeper TorchServe's connection, once, so that it stays open when this process ends.

        With it goes how much memory the worker holds before its first request, which a look of the keeper's could miss.
        """
        if self.control is not None:
            told = json.dumps({**self.described, "memory": own_memory()}).encode()
            with self.control:
                socket.send_fds(self.control, [told], [connection.fileno()])
            self.control = None
            connection.__class__ = Connection  # TorchServe's worker has no place for another

    def wait(self) -> int:
        """A message is waited for; returns how many bytes of it are there, as another worker has received them."""
        if self.takes_over:
            self.takes_over = False
            return self.words[FILLED]
        self.plan, self.refused = {}, {}
        count = self.words[REQUESTS]
        self.slots[:count] = bytes(count)
        self.words[FILLED] = self.words[REQUESTS] = self.words[CALL] = 0
        self.words[PHASE] = WAITING  # at last: a batch that has been answered is not to be taken over
        return 0

    def received(self, filled: int) -> None:
        """filled: bytes of the message that are there now."""
        self.words[FILLED] = filled

    def begin(self, requests: int) -> None:
        """A batch has been read, or read again after another worker."""
        self.words[BATCH] += not self.words[REQUESTS]
        self.words[REQUESTS] = requests
        self.words[PHASE] = WORKING

    def answering(self) -> None:
        """From here on the batch's answers may be on their way; of a keeper that cannot see how much is, no worker may
        take over."""
        if self.outgoing is None:
            self.words[PHASE] = ANSWERING

    def send(self, connection: socket.socket, frame: bytes | bytearray, last: bool) -> None:
        """last: it holds the batch's answers, or the last pieces of them."""
        if self.outgoing is None:
            connection.sendall(frame)
        else:
            self.outgoing.send(connection, frame, self.words[BATCH] if last else 0)

    def verdict(self, index: int) -> RequestError | None:
        """The error a request is answered with because of what it, or one like it, did to workers before this one."""
        found = self.plan["verdicts"].get(str(index), self.plan["others"]) if self.plan else None
        return VERDICTS[found] if found else self.refused.get(index)

    @property
    def one_by_one(self) -> bool:
        """Whether the requests of this batch are worked on each by itself, because together they ended a worker."""
        return bool(self.plan.get("one_by_one"))

    def groups(self, indices: Sequence[int]) -> Sequence[Sequence[int]]:
        """Requests whose items are predicted together: all, or each by itself where one has held up a worker."""
        return [[index] for index in indices] if self.one_by_one else [indices] if indices else []

    def predicting(self, group: Sequence[int]) -> None:
        """The items of these requests are predicted from now on, of none where it is empty."""
        if len(group) == 1:
            self.slots[group[0]] |= PREDICTING
        elif group:
            self.calls += 1
            self.words[CALL] = self.calls

    def predicted(self, group: Sequence[int]) -> None:
        if len(group) == 1:
            self.slots[group[0]] &= SENT
        self.words[CALL] = 0

    def sent(self, index: int) -> None:
        """A piece of a request's answer is on its way."""
        self.slots[index] |= SENT


PROGRESS = Progress(json.loads(os.environ.pop(FILES, "[]")), json.loads(os.environ.pop(PLAN, "null")))


class Connection(socket.socket):
    """TorchServe's, to which its worker sends the answers of a batch by `sendall`."""

    __slots__ = ()  # or it could not take the place of a plain one

    def sendall(self, data: Any, flags: int = 0) -> None:
        PROGRESS.send(self, data, last=True)
