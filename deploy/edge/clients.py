"""Who may call through the edge: a YAML file of names, keys and rates."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from deploy.edge import settings_file
from deploy.edge.private_file import write_private

NAME = "clients.yaml"
HEADER = """# Who may call through the edge. key: sent as "Authorization: Bearer KEY".
# requests_per_second, burst: what an edge takes from this client; above it there is 429.
# admin: may also register, scale and remove models.
# Web pages that may ask for predictions (CORS) stand beside `clients`, as in
# allowed_origins: ["https://app.example.org"]
"""
Origin = Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?$")]


class Client(BaseModel):
    """One caller. burst: how many requests may come at once; the bucket fills again at requests_per_second."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[str, Field(min_length=20, repr=False)]
    requests_per_second: Annotated[int, Field(ge=1)] = 200
    burst: Annotated[int, Field(ge=1)] = 400
    admin: bool = False


class Clients(BaseModel):
    """All callers by name; the name stands in logs, the key never does.

    allowed_origins: of the web pages whose scripts may ask for predictions, with a key of their own. None by default:
    whoever opens such a page can read its key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    clients: Annotated[dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")], Client], Field(min_length=1)]
    allowed_origins: tuple[Origin, ...] = ()

    @field_validator("clients")
    @classmethod
    def keys_differ(cls, value: dict[str, Client]) -> dict[str, Client]:
        if len({client.key for client in value.values()}) < len(value):
            raise ValueError("two clients have the same key")
        return value


def ensure(path: Path) -> Clients:
    """The clients of a file; where it is missing it is made, with a caller "default" and an "admin"."""
    if not path.exists():
        made = {
            "default": {"key": secrets.token_urlsafe(32)},
            "admin": {"key": secrets.token_urlsafe(32), "admin": True},
        }
        write_private(path, HEADER + yaml.safe_dump({"clients": made}, sort_keys=False))
    return settings_file.read(path, Clients)


def key_file(clients: Clients) -> dict[str, dict[str, str]]:
    """The keys as our own client reads them: a caller's for predictions, an admin's for management."""
    callers = sorted(clients.clients.values(), key=lambda client: client.admin)
    caller, admin = callers[0].key, callers[-1].key
    return {"inference": {"key": caller}, "management": {"key": admin}, "API": {"key": admin}}
