"""The contents of an archive from this archiver or from torch-model-archiver, read without running its code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from archiver.artifact import DESCRIPTION
from archiver.digest import sha256
from archiver.errors import MAX_PROBLEMS, VerificationError
from archiver.inspection import inspect
from archiver.mar import CARD, CONFIGURATION, MANIFEST, Mar
from archiver.reports.json_values import as_json
from archiver.store import of_manifest
from trust import signature
from trust.errors import SignatureError
from trust.keys import PublicKey

# The keys of a model card that come from the spec. The rest of the spec is in model-config.yaml.
OF_SPEC = ("name", "version", "task", "workers", "batch", "limits", "options", "preprocessing", "labels")


@dataclass(frozen=True)
class Member:
    """A file in an archive. size: in bytes, unpacked. sha256: in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Signature:
    """The signature beside an archive.

    key: fingerprint of the key that it names, or "unnamed"; "" if the archive is not signed.
    verified: whether one of the given keys made it; None if no keys were given and the signature can be read.
    problem: why it is not trusted; "" if `verified` is True or None.
    """

    key: str = ""
    verified: bool | None = None
    problem: str = ""


@dataclass(frozen=True)
class Contents:
    """The contents of one archive.

    size: of the archive, in bytes. manifest, card, configuration, artifact: its JSON and YAML files; empty if missing.
    problems: contradictions to the model card, the same that `verify` finds before it runs an archive.
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
        """Read an archive. keys: those that may have signed it; None to leave its signature unchecked.

        Raises VerificationError if TorchServe could not serve the file, and OSError.
        """
        with Mar(path, required=[MANIFEST]) as mar:
            found = members(mar)
            digest, problems = sha256(path), list[str]()
            card: dict[str, Any] = {}
            artifact: dict[str, Any] = {}
            if CARD in mar.names:
                try:
                    inspect(mar)
                except VerificationError as error:
                    problems = [str(problem) for problem in error.problems[:MAX_PROBLEMS]]
                    if len(error.problems) > MAX_PROBLEMS:
                        problems.append(f"… {len(error.problems) - MAX_PROBLEMS} more")
                card, artifact = readable(mar, CARD), readable(mar, f"artifact/{DESCRIPTION}")
            else:
                of_manifest(mar, 0, "")  # raises if the manifest names no model or no handler
            manifest = mar.mapping(MANIFEST)
            settings = mapping(manifest.get("model")).get("configFile")
            return cls(
                path=path,
                size=path.stat().st_size,
                sha256=digest,
                members=[found[name] for name in sorted(found)],
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
        """The spec with its defaults, as far as the archive records it; without a card, model-config.yaml."""
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
        """The model's origin: digests of experiment, artifact and spec, the date, versions and scores."""
        if not self.card:
            keys = [key for key in ("createdOn", "archiverVersion") if key in self.manifest]
            recorded: dict[str, Any] = {key: self.manifest[key] for key in keys}
            return {"built with": "torch-model-archiver", **recorded}
        experiment, inputs = mapping(self.card.get("provenance")), mapping(self.card.get("inputs"))
        found = {"experiment": experiment.get("sha256"), "artifact": inputs.get("artifact"), "spec": inputs.get("spec")}
        return {
            "sha256": {name: digest for name, digest in found.items() if digest},
            "written": experiment.get("written"),
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
    """The value if it is a mapping; otherwise an empty one, because an archive may contain anything."""
    return value if isinstance(value, dict) else {}


def members(mar: Mar) -> dict[str, Member]:
    """The archive's files by name, without folders."""
    sizes = {entry.filename: entry.file_size for entry in mar.zip.infolist()}
    return {name: Member(name, sizes[name], value) for name, value in mar.digests().items() if not name.endswith("/")}


def readable(mar: Mar, name: str) -> dict[str, Any]:
    """A JSON or YAML file's keys and values; empty if it is missing or broken, which `inspect` reports as a problem."""
    if name not in mar.names:
        return {}
    try:
        return as_json(mar.mapping(name))
    except VerificationError:
        return {}


def signature_of(path: Path, digest: str, keys: Sequence[PublicKey] | None) -> Signature:
    """The archive's signature. digest: SHA-256 of the archive. keys: as `Contents.read` takes them."""
    if keys is None and not os.path.lexists(signature.path_of(path)):
        return Signature()
    try:
        content = signature.read_signature(path)
    except SignatureError as error:
        return Signature("", False, str(error))
    named = ""
    try:
        named = signature.signer_named(content) or "unnamed"
        if keys is None:
            return Signature(named)
        return Signature(signature.check(path.name, content, digest, keys).fingerprint, True)
    except SignatureError as error:
        return Signature(named, False, str(error))
