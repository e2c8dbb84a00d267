"""`inspect`, `diff` and `sbom`: the contents of an archive, the differences of two, and bills of materials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from archiver.errors import VerificationError, message
from archiver.reports import difference, json_values, text
from archiver.reports.contents import Contents
from trust.errors import SignatureError
from trust.keys import trusted

UNWRAPPED = 200  # columns if the output is a file or a pipe
DIFFERENT, UNREADABLE = 1, 2  # exit statuses of `diff`
console = Console(highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print the full report as one JSON object.")]


def inspect(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="A .mar file, from this archiver or any other.")],
    key: Annotated[
        Path | None, typer.Option(help="PEM file of public keys: check that one of their owners signed the archive.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the contents of an archive: files with sizes and SHA-256, model card, spec, provenance, signature.

    No code of the archive is run. Exit status 1: the archive or its signature cannot be read, it contradicts its own
    model card or, with --key, it was not signed with one of the keys.
    """
    try:
        found = Contents.read(archive, trusted(key) if key else None)
    except (VerificationError, SignatureError, OSError) as error:
        refuse(error, 1)
    if as_json:
        typer.echo(json_values.dump(found.to_json()))
    else:
        widen()
        console.print(text.tree(found))
    if found.problems or found.signature.verified is False:
        raise typer.Exit(1)


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A .mar file.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The .mar file to compare it with.")],
    as_json: AsJson = False,
) -> None:
    """Show how archive B differs from A: in its files, its spec and model card, and each tensor of its weights.

    No code of the archives is run. Exit status 0: both contain the same files. 1: they differ. 2: one cannot be read.
    """
    try:
        found = difference.compare(before, after)
    except (VerificationError, OSError) as error:
        refuse(error, UNREADABLE)
    if as_json:
        typer.echo(json_values.dump(found.to_json()))
    else:
        widen()
        for line in text.lines(found):
            console.print(text.plain(line), soft_wrap=True)
    if not found.same:
        raise typer.Exit(DIFFERENT)


def sbom(
    archive: Annotated[
        Path | None,
        typer.Argument(metavar="[ARCHIVE]", help="A .mar file; if omitted, the environment that runs this command."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead of standard output.")
    ] = None,
) -> None:
    """Write a software bill of materials for an archive, or for the packages installed here.

    The format is CycloneDX 1.6 in JSON. An archive's bill lists its files with SHA-256, its model card, and the
    packages that it requires. An environment's lists every Python distribution with its version, its licence and the
    hashes in the lock file, TorchServe's JDK and Java libraries, and the Debian packages.
    """
    from archiver.reports import bill_of_materials  # its imports take a third of a second
    from trust import environment

    if archive:
        try:
            bill = bill_of_materials.bill(Contents.read(archive))
        except (VerificationError, OSError) as error:
            refuse(error, 1)
    else:
        bill = environment.bill()
    if output:
        output.write_text(bill + "\n", encoding="utf-8")
    else:
        typer.echo(bill)


def widen() -> None:
    """Do not wrap lines if the output is a file or a pipe."""
    if not console.is_terminal:
        console.width = UNWRAPPED


def refuse(error: Exception, status: int) -> NoReturn:
    """End the command with one line on standard error."""
    typer.echo(f"archiver: {message(error)}", err=True)
    raise typer.Exit(status)
