"""Our reader of TorchServe's frames gives what TorchServe's own gives."""

import os
import socket
import struct
import threading
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ts.protocol.otf_message_handler import retrieve_msg
from ts.service import Service

from handlers.errors import TooSlow
from handlers.torchserve.frame_reader import MAX_KEPT, FrameReader
from handlers.torchserve.progress import BUFFER, Progress

Pair = tuple[bytes, bytes]
Request = tuple[bytes, list[Pair], list[tuple[str, str, bytes]]]


def field(value: bytes) -> bytes:
    return struct.pack("!i", len(value)) + value


def frame(batch: list[Request]) -> bytes:
    end = struct.pack("!i", -1)
    wire = b"I"
    for identifier, headers, parameters in batch:
        wire += field(identifier)
        wire += b"".join(field(name) + field(value) for name, value in headers) + end
        for name, content_type, value in parameters:
            wire += field(name.encode()) + field(content_type.encode()) + field(value)
        wire += end
    return wire + end


def read(reader: Any, *chunks: bytes) -> Any:
    """What `reader` returns when the chunks arrive one after another."""
    here, there = socket.socketpair()

    def send() -> None:
        for chunk in chunks:
            there.sendall(chunk)

    with here, there:
        sender = threading.Thread(target=send)
        sender.start()
        message = reader(here)
        sender.join()
    return message


def test_memory_follows_what_arrives_not_what_is_announced() -> None:
    reader = FrameReader(Progress())
    here, there = socket.socketpair()
    with here:
        with there:
            there.sendall(b"I" + struct.pack("!i", 2**31 - 1) + bytes(1000))
        with pytest.raises(SystemExit):
            reader.message(here)
    assert len(reader.buffer) == BUFFER


def test_a_message_is_taken_over() -> None:
    """Wherever the worker before was in it; what is known of the batch does not touch the next."""
    wire = frame([(b"id", [], [("body", "", bytes(3 * BUFFER))]), (b"other", [], [])])
    for cut in (1, BUFFER + 7, len(wire) - 1):
        memory, here, there = os.memfd_create("batch"), *socket.socketpair()
        first = Progress([os.dup(memory)])
        sender = threading.Thread(target=there.sendall, args=(wire[:cut],))
        sender.start()
        buffered = FrameReader(first)
        first.wait()
        with pytest.raises(IndexError):
            buffered.fill(cast(Any, Limited(here, cut)), len(wire))
        sender.join()
        plan = {"verdicts": {"1": "slow"}, "others": None, "one_by_one": True}
        second = Progress([memory], plan)
        sender = threading.Thread(target=there.sendall, args=(wire[cut:],))
        sender.start()
        reader = FrameReader(second)
        _, batch = reader.message(here)
        sender.join()
        assert [request["requestId"] for request in batch] == [b"id", b"other"]
        assert batch[0]["parameters"][0]["value"] == bytes(3 * BUFFER)
        assert isinstance(second.verdict(1), TooSlow)
        assert second.verdict(0) is None
        assert second.groups([0, 1]) == [[0], [1]]
        there.sendall(frame([(b"next", [], [])]))
        reader.message(here)
        assert second.verdict(1) is None
        assert second.groups([0, 1]) == [[0, 1]]
        here.close()
        there.close()


class Limited:
    """A connection whose reader dies after so many bytes."""

    def __init__(self, connection: socket.socket, size: int) -> None:
        self.connection, self.left = connection, size

    def recv_into(self, view: memoryview) -> int:
        if not self.left:
            raise IndexError
        received = self.connection.recv_into(view[: self.left])
        self.left -= received
        return received


names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
pairs = st.tuples(names.map(str.encode), st.binary(max_size=30))
requests = st.tuples(
    names.map(str.encode),
    st.lists(pairs, max_size=4),
    st.lists(st.tuples(names, names, st.binary(max_size=50)), unique_by=lambda part: part[0]),
)


@settings(deadline=None, max_examples=60)
@given(batch=st.lists(requests, min_size=1, max_size=4), cut=st.floats(0, 1))
def test_any_batch_is_read_as_torchserve_reads_it(batch: list[Request], cut: float) -> None:
    wire = frame(batch)
    middle = int(cut * len(wire))
    environment = os.environ.pop("TS_DECODE_INPUT_REQUEST", None)
    os.environ["TS_DECODE_INPUT_REQUEST"] = "false"  # as config.properties has it
    try:
        assert read(FrameReader(Progress()).message, wire[:middle], wire[middle:]) == read(retrieve_msg, wire)
    finally:
        del os.environ["TS_DECODE_INPUT_REQUEST"]
        if environment is not None:
            os.environ["TS_DECODE_INPUT_REQUEST"] = environment


def test_one_reader_reads_message_after_message_of_any_size() -> None:
    reader = FrameReader(Progress())
    for size in (10, 3 * BUFFER, 0, 100):
        body = bytes(size)
        _, [request] = read(reader.message, frame([(b"id", [], [("body", "image/jpeg", body)])]))
        assert request["parameters"][0]["value"] == body


def test_what_was_read_does_not_change_with_the_next_message() -> None:
    reader = FrameReader(Progress())
    _, [first] = read(reader.message, frame([(b"one", [], [("body", "", b"aaaa")])]))
    body = first["parameters"][0]["value"]
    read(reader.message, frame([(b"two", [], [("body", "", b"bbbb")])]))
    assert body == b"aaaa"


def test_nothing_of_a_large_batch_stays_while_the_next_is_waited_for() -> None:
    """TorchServe's worker holds what it was given last."""
    reader = FrameReader(Progress())
    _, batch = read(reader.message, frame([(b"id", [], [("body", "", bytes(2 * MAX_KEPT))])]))
    here, there = socket.socketpair()
    with there:
        there.close()
    with here, pytest.raises(SystemExit):
        reader.message(here)
    assert batch == [{}]
    assert len(reader.buffer) == BUFFER


def test_parts_of_one_name_come_together() -> None:
    """TorchServe's own service keeps the last alone."""
    parts = [("data", "a/b", b"one"), ("top_k", "", b"1"), ("data", "c/d", b"two")]
    _, [request] = read(FrameReader(Progress()).message, frame([(b"id", [], parts)]))
    rows = Service.retrieve_data_for_inference([{**request, "headers": []}])[1]
    assert rows == [{"data": [b"one", b"two"], "top_k": b"1"}]


def test_the_process_ends_when_torchserve_has_gone() -> None:
    here, there = socket.socketpair()
    there.sendall(frame([(b"id", [], [])])[:-2])
    there.close()
    with here, pytest.raises(SystemExit):
        FrameReader(Progress()).message(here)


def test_another_command_is_an_error() -> None:
    with pytest.raises(ValueError, match="command b'X'"):
        read(FrameReader(Progress()).message, b"X")
