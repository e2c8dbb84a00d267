"""A server's addresses and key file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from client.errors import unreachable

SERVER_FILE = Path(__file__).parents[1] / ".run" / "server.json"


@dataclass(frozen=True)
class Server:
    """inference, management: base URLs. grpc, grpc_management: host:port.

    key_file: None if no key is required. ca_file: certificates to trust in PEM, if gRPC is encrypted and REST uses
    https; None for unencrypted gRPC, and the system's certificates for https.
    """

    inference: str = "http://127.0.0.1:8080"
    management: str = "http://127.0.0.1:8081"
    grpc: str = "127.0.0.1:7070"
    grpc_management: str = "127.0.0.1:7071"
    key_file: Path | None = None
    ca_file: Path | None = None

    @classmethod
    def find(cls) -> Server:
        """The server that `scripts/serve` started from this checkout.

        The environment variables TORCHSERVE_SERVER_FILE, TORCHSERVE_KEY_FILE and TORCHSERVE_CA_FILE name another
        server.json, key_file.json and certificates; paths in a server.json are relative to its folder. With only a key
        file, TorchServe's default ports are used. Raises Unreachable if no server is running.
        """
        path = Path(os.environ.get("TORCHSERVE_SERVER_FILE", SERVER_FILE))
        key_file, ca_file = (os.environ.get(f"TORCHSERVE_{name}_FILE") for name in ("KEY", "CA"))
        if key_file and not path.exists():
            return cls(key_file=Path(key_file))
        found = cls.read(path)
        return replace(
            found,
            key_file=path.parent / key_file if key_file else found.key_file,
            ca_file=path.parent / ca_file if ca_file else found.ca_file,
        )

    @classmethod
    def read(cls, path: Path) -> Server:
        """The server that a server.json describes. Raises Unreachable."""
        try:
            described = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise unreachable(f"{path} is not JSON: {error}") from None
        except FileNotFoundError:
            raise unreachable(f"no server is running: {path} does not exist") from None
        try:
            addresses = {name: described[name] for name in ("inference", "management", "grpc", "grpc_management")}
        except (KeyError, TypeError):
            raise unreachable(f"{path}: wanted inference, management, grpc and grpc_management") from None
        key_file, ca_file = (
            path.parent / name if name else None for name in map(described.get, ("key_file", "ca_file"))
        )
        return cls(**addresses, key_file=key_file, ca_file=ca_file)
