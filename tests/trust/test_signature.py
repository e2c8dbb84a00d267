"""Signatures, each verified by the OpenSSF's own library, and the library's by ours; and what must be refused."""

import base64
import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import model_signing
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from trust import signature, statement
from trust.errors import SignatureError
from trust.keys import HASHES, PrivateKey, trusted

CURVES = {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1(), "secp521r1": ec.SECP521R1()}
CONTENT = b"PK\x03\x04 the archive" * 1000


class Signer:
    """A key pair in two files."""

    def __init__(self, folder: Path, name: str, curve: ec.EllipticCurve | None = None) -> None:
        self.private, self.public = folder / f"{name}.pem", folder / f"{name}.pub"
        self.key = PrivateKey(ec.generate_private_key(curve)) if curve else PrivateKey.generate()
        self.key.write(self.private, self.public)

    def sign_by_library(self, file: Path) -> None:
        config = model_signing.signing.Config().use_elliptic_key_signer(private_key=self.private)
        config.sign(file, signature.path_of(file))

    def verify_by_library(self, file: Path) -> None:
        config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=self.public)
        config.verify(file, signature.path_of(file))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.mar"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path, "signer")


@pytest.mark.parametrize("curve", CURVES)
def test_the_library_verifies_ours_and_we_the_library_s(curve: str, file: Path, tmp_path: Path) -> None:
    assert CURVES.keys() == HASHES.keys()
    signer, stranger = Signer(tmp_path, "signer", CURVES[curve]), Signer(tmp_path, "stranger", CURVES[curve])
    signature.sign(file, PrivateKey.read(signer.private))
    signer.verify_by_library(file)
    with pytest.raises(ValueError, match="Key mismatch"):
        stranger.verify_by_library(file)
    signature.path_of(file).unlink()
    signer.sign_by_library(file)
    assert signature.verify(file, trusted(signer.public)).fingerprint == signer.key.public.fingerprint
    file.write_bytes(CONTENT + b"!")
    with pytest.raises(ValueError, match="Hash mismatch"):
        signer.verify_by_library(file)
    with pytest.raises(SignatureError, match=r"model\.mar was altered after it was signed"):
        signature.verify(file, trusted(signer.public))


def test_keys_in_openssl_s_own_form(file: Path, signer: Signer, tmp_path: Path) -> None:
    """As `openssl ecparam -genkey` writes them."""
    private = tmp_path / "openssl.pem"
    private.write_bytes(signer.key.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    private.chmod(0o600)
    assert b"BEGIN EC PRIVATE KEY" in private.read_bytes()
    signature.sign(file, PrivateKey.read(private))
    signature.verify(file, trusted(signer.public))


def test_any_of_the_trusted_keys_may_have_signed(file: Path, signer: Signer, tmp_path: Path) -> None:
    other, keys = Signer(tmp_path, "other"), tmp_path / "keys"
    signature.sign(file, signer.key)
    keys.write_bytes(b"# the release team\n" + other.public.read_bytes() + b"\n" + signer.public.read_bytes())
    assert signature.verify(file, trusted(keys)) == signer.key.public
    fingerprints = rf"the key {signer.key.public.fingerprint[:12]}, which is not.*: {other.key.public.fingerprint[:12]}"
    with pytest.raises(SignatureError, match=fingerprints):
        signature.verify(file, trusted(other.public))


def test_a_file_may_have_another_name_but_not_another_s_signature(file: Path, signer: Signer, tmp_path: Path) -> None:
    signature.sign(file, signer.key)
    renamed, foreign = tmp_path / "renamed.mar", tmp_path / "foreign.mar"
    for path, content in ((renamed, CONTENT), (foreign, b"another archive")):
        path.write_bytes(content)
        shutil.copyfile(signature.path_of(file), signature.path_of(path))
    signature.verify(renamed, trusted(signer.public))
    signer.verify_by_library(renamed)
    with pytest.raises(SignatureError, match="was altered"):
        signature.verify(foreign, trusted(signer.public))


Change = Callable[[dict[str, Any]], object]


def statement_with(change: Change) -> Change:
    """A change of the statement inside a bundle, without the signer's help."""

    def apply(bundle: dict[str, Any]) -> None:
        values = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        change(values)
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(values).encode()).decode()

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda bundle: bundle.update(mediaType="application/json"), "wanted the media type"),
        (lambda bundle: bundle.pop("dsseEnvelope"), "cannot be read"),
        (lambda bundle: bundle.update(dsseEnvelope=[]), "cannot be read"),
        (lambda bundle: bundle.update(verificationMaterial={"certificate": {}}), "an online identity"),
        (lambda bundle: bundle["verificationMaterial"]["publicKey"].update(hint=7), "not a text"),
        (lambda bundle: bundle["verificationMaterial"]["publicKey"].update(hint="0" * 64), "which is not trusted"),
        (lambda bundle: bundle["dsseEnvelope"].update(payloadType="text/plain"), "wanted one signature"),
        (lambda bundle: bundle["dsseEnvelope"]["signatures"].append({}), "wanted one signature"),
        (lambda bundle: bundle["dsseEnvelope"]["signatures"].clear(), "wanted one signature"),
        (lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig="AAAA"), "or was altered"),
        (lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig="no base64!"), "cannot be read"),
        (statement_with(lambda values: values["subject"][0].update(name="other.mar")), "or was altered"),
        (statement_with(lambda values: values["predicate"]["resources"].clear()), "or was altered"),
    ],
)
def test_what_is_not_a_signature_of_this_file(change: Change, message: str, file: Path, signer: Signer) -> None:
    path = signature.sign(file, signer.key)
    bundle = json.loads(path.read_text())
    change(bundle)
    path.write_text(json.dumps(bundle))
    with pytest.raises(SignatureError, match=message) as caught:
        signature.verify(file, trusted(signer.public))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("model.mar")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"mediaType": {}}'])
def test_a_file_that_is_not_a_signature(content: bytes, file: Path, signer: Signer) -> None:
    signature.path_of(file).write_bytes(content)
    with pytest.raises(SignatureError, match="not in the OpenSSF's format"):
        signature.verify(file, trusted(signer.public))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.update(_type="https://in-toto.io/Statement/v0.1"), "has _type"),
        (lambda values: values.update(predicateType="https://slsa.dev/provenance/v1"), "has predicateType"),
        (lambda values: values["predicate"]["serialization"].update(method="shards"), "made over shards"),
        (lambda values: values["predicate"]["serialization"].update(hash_type="blake2b"), "with blake2b"),
        (lambda values: values["predicate"]["resources"][0].update(name="weights.bin"), "signs a folder of 1"),
        (lambda values: values["predicate"]["resources"].append({"name": "x"}), "signs a folder of 2"),
        (lambda values: values["predicate"]["resources"][0].update(digest="00"), "holds no SHA-256"),
        (lambda values: values["subject"][0]["digest"].update(sha256="00" * 32), "contradicts itself"),
        (lambda values: values.update(subject=[]), "contradicts itself"),
        (lambda values: values.pop("predicate"), "cannot be read"),
    ],
)
def test_a_trusted_signer_s_other_statements_are_refused(
    change: Change, message: str, file: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed with the right key, as one signs other things with it."""
    values = json.loads(statement.write(file.name, signature.sha256(file)))
    change(values)
    monkeypatch.setattr(statement, "write", lambda name, sha256: json.dumps(values).encode())
    signature.sign(file, signer.key)
    with pytest.raises(SignatureError, match=message):
        signature.verify(file, trusted(signer.public))


def test_other_ways_of_the_library_to_sign_are_refused_in_words(file: Path, signer: Signer, tmp_path: Path) -> None:
    shards = model_signing.hashing.Config().use_shard_serialization(shard_size=1000)
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=signer.private)
    config.set_hashing_config(shards).sign(file, signature.path_of(file))
    with pytest.raises(SignatureError, match="it was made over shards with sha256; wanted whole files"):
        signature.verify(file, trusted(signer.public))
    (tmp_path / "store").mkdir()
    for name in ("a.mar", "b.mar"):
        (tmp_path / "store" / name).write_bytes(CONTENT)
    signer.sign_by_library(tmp_path / "store")
    shutil.copyfile(tmp_path / "store.sig", signature.path_of(file))
    with pytest.raises(SignatureError, match="it signs a folder of 2 files; wanted this file alone"):
        signature.verify(file, trusted(signer.public))


def test_an_unsigned_file(file: Path, signer: Signer) -> None:
    with pytest.raises(SignatureError, match=r"model\.mar is not signed: model\.mar\.sig is missing"):
        signature.verify(file, trusted(signer.public))


def test_keys_are_private_and_never_written_over(signer: Signer, tmp_path: Path) -> None:
    assert stat.S_IMODE(signer.private.stat().st_mode) == 0o600
    with pytest.raises(SignatureError, match="already exists"):
        PrivateKey.generate().write(signer.private, tmp_path / "new.pub")
    signer.private.chmod(0o640)
    with pytest.raises(SignatureError, match="others can read this private key"):
        PrivateKey.read(signer.private)


def test_passwords(tmp_path: Path, signer: Signer) -> None:
    private, public = tmp_path / "locked.pem", tmp_path / "locked.pub"
    key = PrivateKey.generate()
    key.write(private, public, "correct")
    assert PrivateKey.read(private, "correct").public == trusted(public)[0]
    for path, password, message in (
        (private, "wrong", "the password is wrong"),
        (private, None, "has a password, and none was given"),
        (signer.private, "any", "has no password, and one was given"),
    ):
        with pytest.raises(SignatureError, match=message):
            PrivateKey.read(path, password)


def test_key_files_that_cannot_be_used(tmp_path: Path, signer: Signer) -> None:
    file, rsa = tmp_path / "keys", tmp_path / "secp256k1"
    foreign = PrivateKey(ec.generate_private_key(ec.SECP256K1()))
    foreign.write(rsa, tmp_path / "secp256k1.pub")
    for content, message in (
        (b"", "no public key in PEM"),
        (signer.private.read_bytes(), "holds a private key"),
        (b"-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n", "something else"),
        ((tmp_path / "secp256k1.pub").read_bytes(), "on the curve P-256, P-384 or P-521"),
        (b" " * (1 << 20) + b" ", "more than"),
    ):
        file.write_bytes(content)
        with pytest.raises(SignatureError, match=message):
            trusted(file)
    with pytest.raises(SignatureError, match="no such file"):
        trusted(tmp_path / "missing")
    with pytest.raises(SignatureError, match="wanted a private key in PEM"):
        PrivateKey.read(private_copy(signer.public))
    with pytest.raises(SignatureError, match="on the curve P-256, P-384 or P-521"):
        PrivateKey.read(rsa)


def private_copy(path: Path) -> Path:
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o600)
    return copy
