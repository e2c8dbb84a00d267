"""An archive in an OCI registry: a layer of an artifact, as `oras push HOST/models/imagenet:1.0 imagenet.mar` creates.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

import requests
from oras.container import Container
from oras.defaults import default_manifest_accepted_media_types
from oras.logger import setup_logger
from oras.provider import Registry

from deploy.errors import DeployError
from deploy.fetching.source import MAX_SIGNATURE, Source, check_name
from deploy.fetching.web import REFUSED, ask, checked, parts, patient, range_header, whole

TITLE = "org.opencontainers.image.title"
MAX_MANIFEST = 4 << 20  # bytes
HERE = {"localhost", "127.0.0.1"}  # without TLS, as in Docker


class OciBlob:
    """The single layer named NAME.mar. Uses Docker's credentials, from `docker login` or `oras login`."""

    def __init__(self, source: Source) -> None:
        setup_logger(quiet=True)  # problems are raised as errors
        self.shown = source.shown
        self.container = Container(source.url.removeprefix("oci://"))
        host = str(self.container.registry).partition(":")[0]
        self.registry = Registry(hostname=self.container.registry, insecure=host in HERE)
        patient(self.registry.session, plain=host in HERE)
        self.credentials: dict[str, str] = {}
        folder = os.environ.get("DOCKER_CONFIG")
        self.registry.auth.load_configs(self.container, [f"{folder}/config.json"] if folder else None)
        self.layers = self.manifest().get("layers") or []
        titled = {layer.get("annotations", {}).get(TITLE, ""): layer for layer in self.layers}
        archives = [name for name in titled if name.endswith(".mar")]
        if len(archives) != 1:
            found = ", ".join(archives or titled) or "none"
            raise DeployError(f"{source.shown}: wanted exactly one layer named NAME.mar; got {found}")
        self.name = archives[0]
        check_name(self.name, source.shown)
        self.layer = titled[self.name]
        self.signed = titled.get(f"{self.name}.sig")
        self.size: int | None = int(self.layer["size"])
        if self.layer["digest"] != f"sha256:{source.sha256}":
            raise DeployError(
                f"{source.shown}: its {self.name} is {self.layer['digest']}; wanted sha256:{source.sha256}"
            )

    def manifest(self) -> dict[str, Any]:
        url = f"{self.registry.prefix}://{self.container.manifest_url()}"
        response = self.get(url, {"Accept": ", ".join(default_manifest_accepted_media_types)})
        content = whole(response, MAX_MANIFEST, self.shown)
        wanted = self.container.digest
        if wanted and f"sha256:{hashlib.sha256(content).hexdigest()}" != wanted:
            raise DeployError(f"{self.shown}: the registry's manifest does not match the digest in the address")
        found: dict[str, Any] = json.loads(content)
        return found

    def get(self, url: str, headers: dict[str, str]) -> requests.Response:
        """Send a request without the library's retries, which take minutes if a registry is down or refuses."""
        response = self.ask(url, headers)
        if response.status_code in REFUSED and not self.credentials:
            self.credentials = self.answer_to(response)
            response.close()
            response = self.ask(url, headers)
        return checked(response, self.shown)

    def ask(self, url: str, headers: dict[str, str]) -> requests.Response:
        return ask(self.registry.session, url, {**headers, **self.credentials}, self.shown)

    def answer_to(self, refusal: requests.Response) -> dict[str, str]:
        """The headers that answer a challenge, from Docker's credentials for this registry; empty without any."""
        auth = self.registry.auth
        if not refusal.headers.get("WWW-Authenticate", "").lower().startswith("basic"):
            headers, _ = auth.authenticate_request(refusal, {})
            return dict(headers)
        password = getattr(auth, "_basic_auth", None)
        return {"Authorization": f"Basic {password}"} if password else {}

    def blocks(self, offset: int) -> Iterator[bytes]:
        return parts(self.blob(self.layer, range_header(offset)), offset)

    def blob(self, layer: dict[str, Any], headers: dict[str, str]) -> requests.Response:
        return self.get(f"{self.registry.prefix}://{self.container.get_blob_url(layer['digest'])}", headers)

    def signature(self) -> bytes | None:
        if self.signed is None:
            return None
        return whole(self.blob(self.signed, {}), MAX_SIGNATURE, self.shown)
