"""Memory that a large input leaves in the heap goes back to the system."""

import sys

import pytest

from handlers.memory import SPARE, Memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and glibc")


def test_freed_memory_below_a_block_in_use_is_given_back() -> None:
    memory = Memory()
    before = memory.resident()
    blocks = [b"x" * 100_000 for _ in range(2 * SPARE // 100_000)]  # below the size that glibc maps apart
    held = blocks.pop()
    assert memory.resident() - before > SPARE
    del blocks
    assert memory.give_back()
    assert memory.resident() - before < SPARE // 4
    assert not memory.give_back()
    assert len(held) == 100_000
