"""Parts of the suite end, whatever becomes of one of them."""

import os
import subprocess
import sys
from pathlib import Path

CONFTEST = """
from tests.suite.parts import Parts

def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False
    return Parts(config, log)
"""
QUICK = "def test_one(): pass\ndef test_two(): pass\ndef test_three(): pass\n"
KILLED = """
import os, signal
from pathlib import Path

def test_before(): pass

def test_killed():
    there = Path("killed")
    if not there.exists():
        there.touch()
        os.kill(os.getpid(), signal.SIGKILL)

def test_after(): pass
"""


def test_a_part_that_is_killed_leaves_none_waiting(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for number in range(8):
        (tmp_path / f"test_{number}.py").write_text(KILLED if number == 5 else QUICK)
    command = [sys.executable, "-m", "pytest", "-n", "2", "-q", "-p", "xdist", "-p", "no:cacheprovider"]
    own = {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | own
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert "1 failed, 24 passed" in done.stdout, done.stdout + done.stderr
    assert "crashed while running 'test_5.py::test_killed'" in done.stdout
