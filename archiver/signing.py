"""`keygen`, `sign` and `verify-signature`: archives signed with keys of one's own, without any online service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from archiver.errors import VerificationError
from archiver.mar import MANIFEST, Mar
from archiver.store import one_line
from trust import signature
from trust.errors import SignatureError
from trust.keys import SHOWN, PrivateKey, trusted

PASSWORD = "BUNDLE_SIGNING_PASSWORD"  # noqa: S105 - the name of a variable

Archives = Annotated[list[Path], typer.Argument(metavar="ARCHIVE …", help=".mar files.")]


def keygen(
    name: Annotated[Path, typer.Argument(metavar="NAME", help="NAME.pem is the private key, NAME.pub the public one.")],
    password: Annotated[
        bool, typer.Option("--password", help=f"Protect the private key; asked for, or read from {PASSWORD}.")
    ] = False,
) -> None:
    """Make a pair of keys: the private one signs archives, the public one goes to whoever serves them.

    The curve is P-256. A file that is there already is never written over.
    """
    secret = (os.environ.get(PASSWORD) or asked(again=True)) if password else None
    private, public = (name.with_name(f"{name.name}{suffix}") for suffix in (".pem", ".pub"))
    try:
        key = PrivateKey.generate()
        key.write(private, public, secret)
    except (SignatureError, OSError) as error:
        refuse(error)
    typer.echo(f"{private} is yours alone, mode 0600; {public} is for everybody")
    typer.echo(f"fingerprint {key.public.fingerprint}")


def sign(
    archives: Archives,
    key: Annotated[Path, typer.Option(help=f"Your private key; its password is asked for, or read from {PASSWORD}.")],
) -> None:
    """Sign archives: each gets a signature beside it, NAME.mar.sig, in the OpenSSF's format for models.

    Any older signature is replaced. Sign what you have verified: a signature says who vouches for an archive, and
    nothing about what it does.
    """
    try:
        try:
            private = PrivateKey.read(key, os.environ.get(PASSWORD))
        except SignatureError as error:
            if "has a password" not in str(error):
                raise
            private = PrivateKey.read(key, asked())
        for archive in archives:
            with Mar(archive, required=[MANIFEST]):  # nothing else is signed as an archive
                typer.echo(signature.sign(archive, private))
    except (SignatureError, VerificationError, OSError) as error:
        refuse(error)


def verify_signature(
    archives: Archives,
    key: Annotated[Path, typer.Option(help="Public keys in PEM, one after the other; any of them may have signed.")],
) -> None:
    """Report who signed archives, and check that they have not changed since. No code of theirs is run.

    Exit status 1: one is not signed, was altered, or was signed by somebody else.
    """
    failed = False
    try:
        keys = trusted(key)
    except SignatureError as error:
        refuse(error)
    for archive in archives:
        try:
            signer = signature.verify(archive, keys)
            typer.echo(f"{archive.name}  signed with the key {signer.fingerprint[:SHOWN]}")
        except (SignatureError, OSError) as error:
            failed = True
            typer.echo(f"archiver: {said(error)}", err=True)
    if failed:
        raise typer.Exit(1)


def asked(again: bool = False) -> str:
    """A password that is typed at the terminal."""
    return str(typer.prompt("Password of the private key", hide_input=True, confirmation_prompt=again, err=True))


def refuse(error: Exception) -> NoReturn:
    typer.echo(f"archiver: {said(error)}", err=True)
    raise typer.Exit(1)


def said(error: Exception) -> str:
    if isinstance(error, VerificationError):
        return f"{error.subject}: {one_line(error)}"
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
