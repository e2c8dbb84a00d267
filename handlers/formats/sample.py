"""The sample of an artifact: a file whose suffix determines its content type in a request."""

from __future__ import annotations

# By suffix.
SAMPLE_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".txt": "text/plain",
    ".json": "application/json",
}
