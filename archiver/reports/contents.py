"""The contents of an archive, ours or one of torch-model-archiver's, read without running any of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from archiver.artifact import DESCRIPTION
from archiver.digest import sha256
from archiver.errors import VerificationError
from archiver.inspection import inspect
from archiver.mar import CARD, CONFIGURATION, MANIFEST, Mar
from archiver.reports.json_values import as_json
from archiver.store import of_manifest
from trust import signature
from trust.errors import SignatureError
from trust.keys import PublicKey

# Of a card: what a spec decides. The rest of a spec is in model-config.yaml.
OF_SPEC = ("name", "version", "task", "workers", "batch", "limits", "options", "preprocessing", "labels")


@dataclass(frozen=True)
class Member:
    """size: bytes, unpacked."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Signature:
    """key: the fingerprint of the key that it names; "" where it is not signed. verified: None where nobody asked.

    problem: why it cannot be trusted, "" where it can or nobody asked.
    """

    key: str = ""
    verified: bool | None = None
    problem: str = ""


@dataclass(frozen=True)
class Contents:
    """size: bytes of the file. manifest, card, configuration, artifact: its own files, empty where it has none.

    problems: what contradicts the model card, as `verify` finds it before it runs an archive.
    """

    path: Path
    size: int
    sha256: str
    members: list[Member]
    manifest: dict[str, Any]
    card: dict[str, Any]
    configuration: dict[str, Any]
    artifact: dict[str, Any]
    signature: Signature
    problems: list[str]

    @classmethod
    def read(cls, path: Path, keys: Sequence[PublicKey] | None = None) -> Self:
        """Raises VerificationError where TorchServe could not serve the file. keys: who may have signed it."""
        with Mar(path, required=[MANIFEST]) as mar:
            digests = mar.digests()
            sizes = {entry.filename: entry.file_size for entry in mar.zip.infolist()}
            digest, problems = sha256(path), list[str]()
            card: dict[str, Any] = {}
            artifact: dict[str, Any] = {}
            if CARD in mar.names:
                try:
                    inspect(mar)
                except VerificationError as error:
                    problems = [str(problem) for problem in error.problems]
                card, artifact = readable(mar, CARD), readable(mar, f"artifact/{DESCRIPTION}")
            else:
                of_manifest(mar, 0, "")  # raises where it names no model and handler
            manifest = mar.mapping(MANIFEST)
            settings = mapping(manifest.get("model")).get("configFile")
            return cls(
                path=path,
                size=path.stat().st_size,
                sha256=digest,
                members=[
                    Member(name, sizes[name], digests[name]) for name in sorted(mar.names) if not name.endswith("/")
                ],
                manifest=as_json(manifest),
                card=card,
                configuration=readable(mar, settings if isinstance(settings, str) else CONFIGURATION),
                artifact=artifact,
                signature=signature_of(path, digest, keys),
                problems=problems,
            )

    @property
    def name(self) -> str:
        return str(self.card.get("name") or self.model.get("modelName", ""))

    @property
    def version(self) -> str:
        return str(self.card.get("version") or self.model.get("modelVersion", ""))

    @property
    def model(self) -> dict[str, Any]:
        """The manifest's `model`: its name, version, handler and files."""
        return mapping(self.manifest.get("model"))

    @property
    def spec(self) -> dict[str, Any]:
        """The keys of its spec, with the defaults; of any other archive, TorchServe's own settings."""
        if not self.card:
            return self.configuration
        ours = mapping(self.configuration.get("handler"))
        seconds = {
            key: self.configuration[name]
            for key, name in (("response_s", "responseTimeout"), ("startup_s", "startupTimeout"))
            if name in self.configuration
        }
        return {
            **{key: self.card[key] for key in OF_SPEC if key in self.card},
            "backend": self.card.get("backend"),
            "threads": ours.get("threads"),
            "queue": self.configuration.get("jobQueueSize", "auto"),
            "timeouts": seconds,
            "handler": ours.get("class"),
        }

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the model comes from: digests of experiment, artifact and spec, a date, versions, scores."""
        if not self.card:
            written: dict[str, Any] = {
                key: self.manifest[key] for key in ("createdOn", "archiverVersion") if key in self.manifest
            }
            return {"built with": "torch-model-archiver", **written}
        made, inputs = mapping(self.card.get("provenance")), mapping(self.card.get("inputs"))
        digests = {"experiment": made.get("sha256"), "artifact": inputs.get("artifact"), "spec": inputs.get("spec")}
        return {
            "sha256": {name: value for name, value in digests.items() if value},
            "written": made.get("written"),
            "versions": self.card.get("versions"),
            "scores": self.card.get("metrics"),
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "file": str(self.path),
            "size": self.size,
            "sha256": self.sha256,
            "name": self.name,
            "version": self.version,
            "signature": vars(self.signature),
            "problems": self.problems,
            "provenance": self.provenance,
            "spec": self.spec,
            "card": self.card or None,
            "manifest": self.manifest,
            "members": [vars(member) for member in self.members],
        }


def mapping(value: Any) -> dict[str, Any]:
    """Keys and values; none where an archive has another thing in their place."""
    return value if isinstance(value, dict) else {}


def readable(mar: Mar, name: str) -> dict[str, Any]:
    """A JSON or YAML file of an archive; empty where it is missing or broken, which `problems` say of ours."""
    if name not in mar.names:
        return {}
    try:
        return as_json(mar.mapping(name))
    except VerificationError:
        return {}


def signature_of(path: Path, digest: str, keys: Sequence[PublicKey] | None) -> Signature:
    try:
        content = signature.read_signature(path)
    except SignatureError as error:
        return Signature("", None if keys is None else False, "" if keys is None else str(error))
    named = ""
    try:
        named = signature.signer_named(content) or "unnamed"
        if keys is None:
            return Signature(named)
        return Signature(signature.check(path.name, content, digest, keys).fingerprint, True)
    except SignatureError as error:
        return Signature(named, False, str(error))
