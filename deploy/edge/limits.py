"""Sizes, numbers and times at the edge."""

from __future__ import annotations

from dataclasses import dataclass

MAX_REQUEST = 24 << 20  # bytes, as TorchServe's max_request_size
UPLOAD = 60  # seconds that a body may take
MAX_MANAGEMENT = 1 << 16  # bytes: what such a call says is in its path, or in a short message
MAX_HEADERS = 7  # KiB: with what the edge adds, below the 8 KiB that TorchServe reads
BUFFER = 32 << 20  # bytes of a request or answer held at most: for retries, and for responses.lua
TRY, TOTAL = "35s", "75s"  # TorchServe answers within 30 s or gives up; two tries must fit
ADMIN = "600s"  # registering waits until the workers have loaded the model
RETRIES = 2
RETRY_AFTER = "1"  # seconds, with each 429 and 503
STREAMS = 128  # of one HTTP/2 connection at once, more than the connections of a browser or a thread pool need
CONNECTIONS = 10_000  # to the edge at once
MEMORY = 3 << 29  # bytes of Envoy's heap, of the 2 GiB that its container has; near them the largest requests are ended
RELEASED = 64 << 20  # bytes a second that go back to the system after a flood


@dataclass(frozen=True)
class SizeClass:
    """Requests of up to `digits` digits of Content-Length, so below 10^digits bytes.

    in_flight: of them at TorchServe at once, on each protocol. waiting: at the edge meanwhile; the next gets 503.
    """

    name: str
    digits: int
    in_flight: int
    waiting: int

    @property
    def bytes(self) -> int:
        """Of the bodies of such requests that TorchServe's heap holds at most."""
        return self.in_flight * min(10**self.digits, MAX_REQUEST)


# TorchServe counts the requests in a queue and not their bytes, and an image of 16 MiB is not refused by a heap of 1 GB
# but ends it. So few large requests are there at once, and many small ones.
SIZES = (
    SizeClass("small", digits=5, in_flight=1024, waiting=1024),
    SizeClass("medium", digits=6, in_flight=100, waiting=400),
    SizeClass("large", digits=8, in_flight=8, waiting=24),
)
