"""Elliptic-curve keys in PEM files: of a signer, and of the signers who are trusted."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from trust.errors import PasswordRequired, SignatureError

MAX_FILE = 1 << 20  # bytes
SHOWN = 12  # characters of a fingerprint
BOUNDARY = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]{1,64})-----")
# The curves of the format, each with the hash that its signatures are made over.
HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}


@dataclass(frozen=True)
class PublicKey:
    """The key of a trusted signer."""

    key: ec.EllipticCurvePublicKey

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key in PEM, in hexadecimal; a signature names its key by it."""
        return hashlib.sha256(self.pem).hexdigest()

    @property
    def pem(self) -> bytes:
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def made(self, signature: bytes, message: bytes) -> bool:
        """Whether the owner of this key signed the message."""
        try:
            self.key.verify(signature, message, ec.ECDSA(HASHES[self.key.curve.name]))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """A signer's own key."""

    key: ec.EllipticCurvePrivateKey

    @classmethod
    def generate(cls) -> Self:
        """A new key on the curve P-256."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def read(cls, path: Path, password: str | None = None) -> Self:
        """Read a key from a file that others cannot read. Raises PasswordRequired or another SignatureError."""
        content = read(path)
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SignatureError(f"{path}: others can read this private key; run `chmod 600 {path}`")
        try:
            key = load_pem_private_key(content, password.encode() if password else None)
        except TypeError:
            if password:
                raise SignatureError(f"{path}: the key has no password, and one was given") from None
            raise PasswordRequired(f"{path}: the key has a password, and none was given") from None
        except (ValueError, UnsupportedAlgorithm):
            if b"ENCRYPTED" in content:
                raise SignatureError(f"{path}: the password is wrong") from None
            raise SignatureError(f"{path}: wanted a private key in PEM, as `archiver keygen` writes it") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in HASHES:
            raise SignatureError(f"{path}: wanted a key on the curve P-256, P-384 or P-521")
        return cls(key)

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.key.public_key())

    def write(self, private: Path, public: Path, password: str | None = None) -> None:
        """Write both halves, the private one with mode 0600. Raises SignatureError if a file exists already."""
        encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        content = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        for path, mode, text in ((private, 0o600, content), (public, 0o644, self.public.pem)):
            try:
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                    file.write(text)
            except FileExistsError:
                raise SignatureError(f"{path} already exists; keys are never overwritten") from None

    def sign(self, message: bytes) -> bytes:
        """The signature in DER."""
        return self.key.sign(message, ec.ECDSA(HASHES[self.key.curve.name]))


def trusted(path: Path) -> list[PublicKey]:
    """The public keys of a file, one PEM block after the other; any of them may have signed. Raises SignatureError."""
    found = []
    for kind, block in blocks(read(path)):
        if b"PRIVATE" in kind:
            raise SignatureError(f"{path} holds a private key; wanted only public ones")
        try:
            key = load_pem_public_key(block)
        except (ValueError, UnsupportedAlgorithm):
            raise SignatureError(f"{path}: wanted public keys in PEM; one of its blocks is something else") from None
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in HASHES:
            raise SignatureError(f"{path}: wanted keys on the curve P-256, P-384 or P-521")
        found.append(PublicKey(key))
    if not found:
        raise SignatureError(f"{path} has no public key in PEM; `archiver keygen` writes one")
    return found


def blocks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The kind and the text of each PEM block, from the last beginning before an end to that end."""
    kind, start = b"", 0
    for boundary in BOUNDARY.finditer(content):
        if boundary[1] == b"BEGIN":
            kind, start = boundary[2], boundary.start()
        elif boundary[2] == kind:
            yield kind, content[start : boundary.end()]
            kind = b""


def read(path: Path) -> bytes:
    """The content of a small file. Raises SignatureError."""
    try:
        if not path.is_file():
            raise SignatureError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise SignatureError(f"{path}: has more than {MAX_FILE} bytes; it is not a file of keys or a signature")
        return content
    except OSError as error:
        raise SignatureError(f"{path}: cannot be read: {error.strerror or error}") from None
