"""A self-made TLS certificate, for an edge that nobody has given one."""

from __future__ import annotations

import datetime
import ipaddress
import re
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.edge.discovery import TYPES, Resource
from deploy.edge.private_file import write_private
from deploy.errors import DeployError

CERTIFICATE, KEY = "tls.crt", "tls.key"
FILE, SECRET = "certificate.json", "edge"
MAX_COMMON_NAME = 64  # characters, by RFC 5280
LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOST = re.compile(rf"([*][.])?{LABEL}([.]{LABEL})*")  # of other scripts in their form of ASCII, xn--…
DAYS = 825  # what browsers accept at most of a certificate that no authority has signed


def ensure(folder: Path, names: list[str]) -> None:
    """tls.crt and tls.key in `folder`; made for `names` (host names or addresses) where either is missing.

    Raises DeployError where one of them is neither.
    """
    if (folder / CERTIFICATE).exists() and (folder / KEY).exists():
        return
    hosts = [general_name(name) for name in names]
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:MAX_COMMON_NAME])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        # It is its own authority, so that clients can be given this file and nothing else.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(folder / KEY, private.decode())
    (folder / CERTIFICATE).write_bytes(certificate.public_bytes(Encoding.PEM))


def secret(folder: Path) -> Resource:
    """Certificate and key, as Envoy's SDS reads them: both change at once."""
    texts = {name: {"inline_string": (folder / name).read_text(encoding="ascii")} for name in (CERTIFICATE, KEY)}
    pair = {"certificate_chain": texts[CERTIFICATE], "private_key": texts[KEY]}
    kind = f"{TYPES}/envoy.extensions.transport_sockets.tls.v3.Secret"
    return Resource(FILE, {"@type": kind, "name": SECRET, "tls_certificate": pair})


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if not HOST.fullmatch(name) or len(name) > 253:
            raise DeployError(
                f"{name[:80]!r}: a certificate is for host names, as in models.example.org, and addresses"
            ) from None
        return x509.DNSName(name)
