""".venv: which groups ./scripts/setup has installed, and whether the locks have changed since."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import Finding, note, ok, problem

GROUP = re.compile(r'^\s+(\w+)\) locks="([a-z ]+)" ;;$', re.MULTILINE)


def environment(checkout: Checkout) -> Iterator[Finding]:
    venv = checkout.project / ".venv"
    if not checkout.python.exists():
        text = "its Python is gone" if venv.exists() else "not made yet"
        yield problem(".venv", text, "./scripts/setup serve")
        return
    record = venv / "groups"
    if not record.is_file():
        yield problem(".venv", "no group is installed completely", "./scripts/setup serve")
        return
    latest = dict(line.split() for line in record.read_text("utf-8").splitlines() if len(line.split()) == 2)
    stamps = expected(checkout)
    current = [group for group, stamp in latest.items() if stamps.get(group) == stamp]
    if current:
        yield ok(".venv", f"matches the locks: {', '.join(current)}")
    # `dev` contains every other group, so an outdated one beside it does not matter.
    for group in latest if "dev" not in current else ():
        if group not in current:
            yield note(".venv", f"{group}: the locks have changed since it was installed", f"./scripts/setup {group}")


def expected(checkout: Checkout) -> dict[str, str]:
    """Group → the checksum that ./scripts/setup records for the current locks."""
    script = (checkout.project / "scripts" / "setup").read_text("utf-8")
    return {group: stamp(checkout.project / "requirements", locks.split()) for group, locks in GROUP.findall(script)}


def stamp(folder: Path, locks: list[str]) -> str:
    data = b"".join((folder / f"{lock}.lock").read_bytes() for lock in locks)
    done = subprocess.run(["cksum"], input=data, capture_output=True, check=True)  # noqa: S607 - as setup finds it
    return done.stdout.decode().replace(" ", "").strip()
