"""Runs a peer's client in a process of its own: they bring messages of one name, and a process takes one of them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]


def run(client: str, *arguments: str) -> Any:
    """The JSON that a module of this folder prints."""
    command = [sys.executable, "-m", f"tests.peers.{client}", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
