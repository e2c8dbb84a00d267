"""SHA-256 of files, and of groups of files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path


def sha256(content: bytes | Path) -> str:
    """The SHA-256 of bytes or of a file's content, in hexadecimal."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree(digests: Mapping[str, str]) -> str:
    """One digest for a group of files: the digest of `sha256sum`'s output for them, sorted by path."""
    return sha256("".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode())


def groups(digests: Mapping[str, str], weights: str) -> dict[str, str]:
    """The digests for the model card, from the digests of all files in the archive.

    weights: path of the weights in the archive, either a file, which keeps its own digest, or a folder.
    """

    def within(*prefixes: str) -> dict[str, str]:
        return {name: value for name, value in digests.items() if name.startswith(prefixes)}

    own = ("artifact/", "handlers/", "MAR-INF/")
    flat = ("entry.py", "model-config.yaml", "card.json")
    code = {name: value for name, value in digests.items() if not name.startswith(own) and name not in flat}
    pinned = {
        "weights": digests[weights] if weights in digests else tree(within(f"{weights}/")),
        "artifact": tree(within("artifact/")),
        "handlers": tree(within("handlers/") | only(digests, ("entry.py",))),
        "configuration": tree(within("MAR-INF/") | only(digests, ("model-config.yaml",))),
    }
    return {**pinned, "code": tree(code)} if code else pinned


def only(digests: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: digests[name] for name in names if name in digests}
