"""What Envoy's discovery services read from a file, and where a configuration says so."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TYPES = "type.googleapis.com"


@dataclass(frozen=True)
class Resource:
    """One resource in a file of its own."""

    file: str
    content: dict[str, Any]

    def response(self) -> dict[str, Any]:
        """A DiscoveryResponse; its version is the content's digest, which Envoy shows in /config_dump and its log."""
        digest = hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()
        return {"version_info": digest[:12], "resources": [self.content]}


def watched_file(folder: Path, file: str) -> dict[str, Any]:
    """A ConfigSource: the file, read again whenever another one takes its place."""
    return {"resource_api_version": "V3", "path_config_source": {"path": str(folder / file)}}
