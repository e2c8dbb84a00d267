"""The page on which models can be tried: static files, built by page/, the same for everyone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "page"
PREFIX = "/page/"
INDEX = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",
    "media-src": "blob:",
    "connect-src": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    # Texts of models and files never become markup: nothing in the page may make any of a text.
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}
HASHED = "public, max-age=31536000, immutable"  # another content has another name
ASKED_AGAIN = "no-cache"


@cache
def files() -> dict[str, tuple[str, bytes]]:
    """Path below PREFIX → media type and bytes."""
    found = {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*") if path.is_file()}
    return {name: (TYPES[path.suffix], path.read_bytes()) for name, path in found.items()}


def file_of(path: str) -> tuple[str, bytes, Mapping[str, str]] | None:
    """Media type, bytes and headers; None if the page has no such file."""
    if not path.startswith(PREFIX):
        return None
    name = path.removeprefix(PREFIX) or INDEX
    found = files().get(name)
    if found is None:
        return None
    return *found, {**HEADERS, "Cache-Control": HASHED if name.startswith("assets/") else ASKED_AGAIN}
