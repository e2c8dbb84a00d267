"""Signatures of files with the user's own keys, in the OpenSSF's format for models: DSSE in a Sigstore bundle.

The `model-signing` library reads and writes the same files. It is not used here because it brings in the clients of
Sigstore's online services, which no server's start should wait for; in tests each verifies what the other signed.

https://docs.sigstore.dev/about/bundle, https://github.com/secure-systems-lab/dsse
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trust import statement
from trust.errors import SignatureError
from trust.keys import SHOWN, PrivateKey, PublicKey, read

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD = "application/vnd.in-toto+json"


def path_of(file: Path) -> Path:
    """Where a file's signature is: beside it, NAME.mar.sig."""
    return file.with_name(f"{file.name}.sig")


def sha256(file: Path) -> str:
    """Raises SignatureError for what is not a file: a pipe would never end, and neither would a device."""
    if not file.is_file():
        raise SignatureError(f"{file.name} is not a file")
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def sign(file: Path, key: PrivateKey) -> Path:
    """Write the signature of a file beside it, in place of an older one, and return its path."""
    payload = statement.write(file.name, sha256(file))
    bundle = {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": key.public.fingerprint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD,
            "signatures": [{"sig": base64.b64encode(key.sign(authenticated(payload))).decode(), "keyid": ""}],
        },
    }
    path = path_of(file)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with partial.open("x", encoding="utf-8") as target:  # never through a link, or into a pipe, that somebody put there
        target.write(json.dumps(bundle))
    partial.replace(path)
    return path


def authenticated(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding of a payload, which is what is signed."""
    return f"DSSEv1 {len(PAYLOAD)} {PAYLOAD} {len(payload)} ".encode() + payload


def verify(file: Path, keys: Sequence[PublicKey]) -> PublicKey:
    """The key that signed a file. Raises SignatureError if none of `keys` signed it as it is now.

    For a file that others may write while it is read, see `check`.
    """
    return check(file.name, read_signature(file), sha256(file), keys)


def read_signature(file: Path) -> bytes:
    """The signature beside a file, not checked yet. Raises SignatureError if there is none."""
    path = path_of(file)
    if not path.is_file():
        raise SignatureError(f"{file.name} is not signed: {path.name} is missing")
    return read(path)


def check(name: str, signature: bytes, digest: str, keys: Sequence[PublicKey]) -> PublicKey:
    """The key among `keys` that made a signature over a file with this SHA-256. Raises SignatureError.

    name: of the file, for messages.
    """
    try:
        envelope, hint = opened(signature)
    except SignatureError as error:
        raise SignatureError(f"{name}: its signature is not in the OpenSSF's format for models: {error}") from None
    signer = next((key for key in keys if hint in (None, key.fingerprint) and envelope.is_by(key)), None)
    if signer is None and hint is not None and hint not in {key.fingerprint for key in keys}:
        known = ", ".join(key.fingerprint[:SHOWN] for key in keys)
        raise SignatureError(f"{name} is signed with the key {hint[:SHOWN]}, which is not trusted; trusted: {known}")
    if signer is None:
        raise SignatureError(f"{name}: its signature is not by a trusted key, or was altered")
    try:
        signed = statement.digest_in(envelope.payload)
    except SignatureError as error:
        raise SignatureError(f"{name}: {error}") from None
    if signed != digest:
        raise SignatureError(f"{name} was altered after it was signed: its SHA-256 is {digest}, signed was {signed}")
    return signer


def signer_named(signature: bytes) -> str | None:
    """The fingerprint that a signature gives for its key, unchecked; None if it gives none."""
    return opened(signature)[1]


class Envelope:
    """payload: what is signed. signature: in DER."""

    def __init__(self, values: Any) -> None:
        if values["payloadType"] != PAYLOAD or len(values["signatures"]) != 1:
            raise SignatureError(f"wanted one signature of {PAYLOAD}")
        self.payload = base64.b64decode(values["payload"], validate=True)
        self.signature = base64.b64decode(values["signatures"][0]["sig"], validate=True)

    def is_by(self, key: PublicKey) -> bool:
        return key.made(self.signature, authenticated(self.payload))


def opened(signature: bytes) -> tuple[Envelope, str | None]:
    """The envelope of a bundle, and the fingerprint of the key it names. Raises SignatureError."""
    try:
        bundle = json.loads(signature)
        if bundle["mediaType"] != BUNDLE:
            raise SignatureError(f"wanted the media type {BUNDLE}; got {str(bundle['mediaType'])[:80]!r}")
        material = bundle["verificationMaterial"]
        if "publicKey" not in material:
            raise SignatureError("it was made with a certificate or an online identity; wanted a key")
        hint = material["publicKey"].get("hint") or None
        if not isinstance(hint, str | None):
            raise SignatureError("the hint of its key is not a text")
        return Envelope(bundle["dsseEnvelope"]), hint
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, RecursionError):
        raise SignatureError("it cannot be read") from None
