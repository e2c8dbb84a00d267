"""Files that hold keys, which only their owner may read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deploy.configuration import EDGE
from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import Finding, ok, problem

# In the run folder: TorchServe's keys, the callers' keys, and the copies of both that an edge gets.
RUN_FILES = ("key_file.json", "edge_keys.json", f"{EDGE}/*.json")
# In secrets/, beside the private files: anybody may read the certificate and the address of the edge.
PUBLIC = (".gitkeep", "tls.crt", "server.json")
OTHERS = 0o077


def private_files(checkout: Checkout) -> Iterator[Finding]:
    found = private(checkout)
    for path in found:
        mode = path.stat().st_mode & 0o777
        if mode & OTHERS:
            name = path.relative_to(checkout.project) if path.is_relative_to(checkout.project) else path
            yield problem("secrets", f"{name} can be read by others (mode {mode:o})", f"chmod 600 {name}")
    if not any(path.stat().st_mode & OTHERS for path in found):
        yield ok("secrets", f"{len(found)} file(s), readable by their owner only" if found else "none made yet")


def private(checkout: Checkout) -> list[Path]:
    """The files with keys that are there."""
    own = sorted(checkout.secrets.iterdir()) if checkout.secrets.is_dir() else []
    kept = [path for path in own if path.is_file() and path.name not in PUBLIC]
    return kept + [path for pattern in RUN_FILES for path in sorted(checkout.run.glob(pattern)) if path.is_file()]
