"""TorchServe's API keys, read from the file that it writes and renewed when they have expired."""

from __future__ import annotations

import asyncio
import fcntl
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import sleep
from typing import Literal, TypeVar

from client.errors import INVALID_KEY, RequestError, Unauthorized
from client.exchange import exchange, session
from client.server import Server

T = TypeVar("T")
KeyName = Literal["inference", "management"]
KEY_NAMES: tuple[KeyName, ...] = ("inference", "management")  # the keys that can be renewed
TIMEOUT = 10.0  # seconds to wait for a new key
READS = 20
PAUSE = 0.05  # seconds between two reads of a file that the server is writing


class Credentials:
    """The keys of one server. Thread-safe. No repr or error contains a key."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._keys: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Credentials({str(self._server.key_file)!r})"

    def authorised(self, name: KeyName, attempt: Callable[[str | None], T]) -> T:
        """Return the result of `attempt` with the current key, or with a new one if the server refuses it.

        There are three attempts: with the key in memory, with the one in the file, which may have expired as well, and
        with a new key requested from the server.
        """
        bearer = self.bearer(name)
        for _ in range(2):
            try:
                return attempt(bearer)
            except Unauthorized as error:
                if error.type != INVALID_KEY:
                    raise
            bearer = self.renew(name, bearer)
        return attempt(bearer)

    async def authorised_async(self, name: KeyName, attempt: Callable[[str | None], Awaitable[T]]) -> T:
        """Like `authorised`; key files are read and new keys requested in a thread."""
        bearer = await asyncio.to_thread(self.bearer, name)
        for _ in range(2):
            try:
                return await attempt(bearer)
            except Unauthorized as error:
                if error.type != INVALID_KEY:
                    raise
            bearer = await asyncio.to_thread(self.renew, name, bearer)
        return await attempt(bearer)

    def bearer(self, name: KeyName) -> str | None:
        """The value of the Authorization header, or None if the server has no key file."""
        if self._server.key_file is None:
            return None
        if not self._keys:
            self._keys = read(self._server.key_file)
        return f"Bearer {self._keys[name]}"

    def renew(self, name: KeyName, refused: str | None) -> str:
        """The header value to try after the server refused `refused`: a key that another process has obtained
        meanwhile, or a new one. Raises Unauthorized if there is none.
        """
        path = self._server.key_file
        if path is None:
            raise Unauthorized(
                401, "NoKey", "the server requires a key, but no key file is known; set TORCHSERVE_KEY_FILE"
            )
        keys = read(path)
        if f"Bearer {keys[name]}" == refused:
            keys = self._ask(path, name, refused)
        self._keys = keys
        return f"Bearer {keys[name]}"

    def _ask(self, path: Path, name: KeyName, refused: str) -> dict[str, str]:
        # A new key invalidates the previous one, so callers take turns to not invalidate each other's.
        with path.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            keys = read(path)
            if f"Bearer {keys[name]}" != refused:
                return keys
            headers = {"Authorization": f"Bearer {keys['API']}"}
            url = f"{self._server.management}/token"
            try:
                with session(ca_file=self._server.ca_file) as own:
                    exchange(own, "GET", url, query={"type": name}, headers=headers, timeout=TIMEOUT)
            except RequestError:
                raise Unauthorized(
                    401,
                    "NoKey",
                    f"{self._server.management} refuses the API key in {path}; does it belong to another server?",
                ) from None
            return read(path)


def read(path: Path) -> dict[str, str]:
    """Keys by name (inference, management, API). Retries, because the server may be rewriting the file."""
    for _ in range(READS):
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            return {name: str(entries[name]["key"]) for name in (*KEY_NAMES, "API")}
        except OSError as error:
            raise Unauthorized(401, "NoKey", f"cannot read the key file {path}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            sleep(PAUSE)
    raise Unauthorized(401, "NoKey", f"{path} is not a key file; wanted inference, management and API, each with a key")
