"""Whenever a process is killed that sends frames, what arrives are whole frames, each once."""

import ctypes
import os
import random
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from handlers.torchserve import outgoing
from handlers.torchserve.outgoing import Outgoing
from zygote import shared_outgoing
from zygote.shared_outgoing import Frame, SharedOutgoing

CONTENT = random.Random(0)
SMALL = [CONTENT.randbytes(50 + number % 7) for number in range(3000)]
# Most are more than a socket holds, and one more than what is kept.
LARGE = [CONTENT.randbytes(size) for size in (1, 700_001, 80_000, 3 << 20, 300_000, 9 << 20, 10, 70_000)]


def test_both_sides_describe_the_same_memory() -> None:
    assert shared_outgoing.HEADER == outgoing.HEADER
    assert shared_outgoing.MESSAGES == outgoing.MESSAGES
    assert ctypes.sizeof(outgoing.Message) == shared_outgoing.MESSAGE_SIZE
    assert outgoing.Message.sent.offset == shared_outgoing.SENT_AT
    assert outgoing.MESSAGES + 2 * shared_outgoing.MESSAGE_SIZE <= outgoing.HEADER


class Sender:
    """A process that sends frames one after another; `connection` is the same one, for the keeper."""

    def __init__(self, frames: list[bytes]) -> None:
        self.shared = SharedOutgoing()
        self.connection, self.theirs = socket.socketpair()
        self.theirs.settimeout(30)
        self.received = bytearray()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.pause = 0.0
        self.pid = os.fork()
        if not self.pid:
            worker = Outgoing(self.shared.file)
            for number, frame in enumerate(frames):
                worker.send(self.connection, frame, number)
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(0)

    def read(self) -> None:
        while piece := self.theirs.recv(1 << 16):
            self.received += piece
            time.sleep(self.pause)

    def kill(self) -> Frame:
        """Kill it, send the rest, and read to the end; what it was sending."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        frame = self.shared.read()
        assert self.shared.complete(self.connection)
        assert not self.shared.read().length
        self.connection.close()
        self.reader.join()
        self.theirs.close()
        return frame


def whole(frames: list[bytes]) -> Iterator[bytes]:
    """All that may have arrived: no frame, the first, the first two …"""
    done = bytearray()
    yield bytes(done)
    for frame in frames:
        done += frame
        yield bytes(done)


@pytest.mark.parametrize("frames", [SMALL, LARGE], ids=["small", "large"])
def test_a_process_that_is_killed(frames: list[bytes]) -> None:
    chance, middle, partly = random.Random(1), 0, 0
    for _ in range(30):
        sender = Sender(frames)
        sender.reader.start()
        time.sleep(chance.uniform(0, 0.03))
        frame = sender.kill()
        middle += 0 < len(sender.received) < sum(map(len, frames))
        partly += 0 < frame.sent < frame.length
        assert bytes(sender.received) in whole(frames)
    assert middle
    assert partly or frames is SMALL


def test_a_process_that_is_stopped_in_the_middle() -> None:
    """A signal ends the call that sends, which begins again where it was; killed after that, nothing is sent twice."""
    for stops in range(4):
        sender = Sender(LARGE)
        process = psutil.Process(sender.pid)
        for _ in range(stops):
            select.select([sender.theirs], [], [], 30)  # it may sleep before it sends anything
            wait_until(process, psutil.STATUS_SLEEPING)
            process.suspend()
            wait_until(process, psutil.STATUS_STOPPED)
            sender.received += sender.theirs.recv(150_000)
            process.resume()
        sender.reader.start()
        time.sleep(0.005 * stops)
        sender.kill()
        assert bytes(sender.received) in whole(LARGE)


def wait_until(process: psutil.Process, status: str) -> None:
    """Sleeping, it has filled the socket."""
    end = time.monotonic() + 10
    while process.status() != status:
        assert time.monotonic() < end
        time.sleep(0.002)


def test_where_the_other_side_has_gone() -> None:
    sender = Sender([bytes(5 << 20)])
    wait_until(psutil.Process(sender.pid), psutil.STATUS_SLEEPING)
    os.kill(sender.pid, signal.SIGKILL)
    os.waitpid(sender.pid, 0)
    sender.theirs.close()
    assert not sender.shared.complete(sender.connection)
    sender.connection.close()
    here, there = socket.socketpair()
    there.close()
    with here, pytest.raises(BrokenPipeError):
        Outgoing(os.memfd_create("outgoing")).send(here, b"x", 1)


def test_memory_of_a_large_frame_is_given_back() -> None:
    here, there = socket.socketpair()
    worker = Outgoing(os.memfd_create("outgoing"))
    with here, there:
        for size in (100, outgoing.MAX_KEPT + 1, 100):
            reader = threading.Thread(target=lambda size=size: there.recv(size, socket.MSG_WAITALL))
            reader.start()
            worker.send(here, bytes(size), 1)
            reader.join()
    assert len(worker.frame) == outgoing.BUFFER
