"""Sizes and times at the edge."""

MAX_REQUEST = 24 << 20  # bytes, as TorchServe's max_request_size
BUFFER = 32 << 20  # bytes of a request or answer held at most: for retries, and for errors.lua
TRY, TOTAL = "35s", "75s"  # TorchServe answers within 30 s or gives up; two tries must fit
ADMIN = "600s"  # registering waits until the workers have loaded the model
RETRIES = 2
