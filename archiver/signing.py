"""`keygen`, `sign` and `verify-signature`: sign archives with keys of your own, without any online service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from archiver.errors import VerificationError, message
from archiver.mar import MANIFEST, Mar
from handlers.formats.zip_file import printable
from trust import signature
from trust.errors import PasswordRequired, SignatureError
from trust.keys import SHOWN, PrivateKey, trusted

PASSWORD = "BUNDLE_SIGNING_PASSWORD"  # noqa: S105 - the name of an environment variable

Archives = Annotated[list[Path], typer.Argument(metavar="ARCHIVE …", help=".mar files.")]


def keygen(
    name: Annotated[
        Path, typer.Argument(metavar="NAME", help="Write the private key to NAME.pem and the public key to NAME.pub.")
    ],
    password: Annotated[
        bool,
        typer.Option(
            "--password",
            help=f"Encrypt the private key with a password, which is prompted for or read from {PASSWORD}.",
        ),
    ] = False,
) -> None:
    """Make a pair of keys: the private key signs archives, and servers check signatures with the public key.

    The keys are on the elliptic curve P-256. Existing files are never overwritten.
    """
    secret = (os.environ.get(PASSWORD) or prompt(confirm=True)) if password else None
    private, public = (name.with_name(f"{name.name}{suffix}") for suffix in (".pem", ".pub"))
    try:
        key = PrivateKey.generate()
        key.write(private, public, secret)
    except (SignatureError, OSError) as error:
        refuse(error)
    typer.echo(f"{private}: the private key, mode 0600; keep it secret")
    typer.echo(f"{public}: the public key, for everyone who checks your signatures")
    typer.echo(f"fingerprint {key.public.fingerprint}")


def sign(
    archives: Archives,
    key: Annotated[
        Path, typer.Option(help=f"Your private key. Its password, if any, is prompted for or read from {PASSWORD}.")
    ],
) -> None:
    """Sign archives: write a signature in the OpenSSF's format for models to NAME.mar.sig, beside each archive.

    An older signature is replaced. Sign only what you have verified: a signature says who vouches for an archive, not
    what the archive does.
    """
    try:
        try:
            private = PrivateKey.read(key)
        except PasswordRequired:
            private = PrivateKey.read(key, os.environ.get(PASSWORD) or prompt())
        for archive in archives:
            with Mar(archive, required=[MANIFEST]):  # refuses files that are not archives
                typer.echo(signature.sign(archive, private))
    except (SignatureError, VerificationError, OSError) as error:
        refuse(error)


def verify_signature(
    archives: Archives,
    key: Annotated[
        Path, typer.Option(help="PEM file of one or more public keys; a signature by any of their owners is accepted.")
    ],
) -> None:
    """Report who signed archives, and check that these have not changed since. None of their code is run.

    Exit status 1: an archive is not signed, was altered, or was signed by somebody else.
    """
    failed = False
    try:
        keys = trusted(key)
    except SignatureError as error:
        refuse(error)
    for archive in archives:
        try:
            signer = signature.verify(archive, keys)
            typer.echo(f"{printable(archive.name)}  signed with the key {signer.fingerprint[:SHOWN]}")
        except (SignatureError, OSError) as error:
            failed = True
            report(error)
    if failed:
        raise typer.Exit(1)


def prompt(confirm: bool = False) -> str:
    """The password, typed at the terminal; twice if it is to be confirmed."""
    return str(typer.prompt("Password of the private key", hide_input=True, confirmation_prompt=confirm, err=True))


def report(error: Exception) -> None:
    """Print one line on standard error."""
    typer.echo(f"archiver: {message(error)}", err=True)


def refuse(error: Exception) -> NoReturn:
    """Report the error and end the command with status 1."""
    report(error)
    raise typer.Exit(1)
