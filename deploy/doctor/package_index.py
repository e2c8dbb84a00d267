"""Whether pip can reach a package index. pip itself is asked, so its configuration, proxy and certificates apply."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import Finding, note, ok

PATIENCE = 10.0
OPTIONS = ("--disable-pip-version-check", "--retries", "0", "--timeout", "3")


def package_index(checkout: Checkout) -> Iterator[Finding]:
    python = str(checkout.python) if checkout.python.exists() else sys.executable
    command = [python, "-m", "pip", "index", "versions", "pip", *OPTIONS]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        reached, said = done.returncode == 0, done.stderr
    except subprocess.TimeoutExpired:
        reached, said = False, ""
    if reached:
        yield ok("network", "pip reaches a package index")
    elif "No module named pip" in said:
        yield note("network", f"not tried: {python} has no pip")
    else:
        yield note("network", "pip reaches no package index", "only needed to install; see `pip config list`")
