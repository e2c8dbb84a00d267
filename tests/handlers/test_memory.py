"""Memory that a large input leaves in the heap goes back to the system."""

import subprocess
import sys

import pytest

from tests.tiny_archives import PROJECT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and glibc")
# In a process of its own: in one that has freed a lot before, the blocks would fit into what it has.
SCRIPT = """
from time import sleep

from handlers.memory import PAUSE, SPARE, Memory

memory = Memory()
before = memory.resident()
blocks = [b"x" * 100_000 for _ in range(2 * SPARE // 100_000)]  # below the size that glibc maps apart
held = blocks.pop()
assert memory.resident() - before > SPARE
del blocks
assert memory.give_back()
assert memory.resident() - before < SPARE // 4
sleep(PAUSE)
assert not memory.give_back()
assert len(held) == 100_000
print("given back")
"""


def test_freed_memory_below_a_block_in_use_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.stdout == "given back\n", done.stderr
