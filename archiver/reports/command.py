"""`inspect`, `diff` and `sbom`: what an archive holds, how two of them differ, what is installed beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from archiver.errors import VerificationError
from archiver.reports import difference, json_values, text
from archiver.reports.contents import Contents
from archiver.store import one_line
from handlers.formats.zip_file import reason
from trust.errors import SignatureError
from trust.keys import trusted

UNWRAPPED = 200  # columns, where the output is a file or a pipe
DIFFERENT, TROUBLE = 1, 2
console = Console(highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="For programs: all of it, as one JSON object.")]


def inspect(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="A .mar file, of this archiver or any other.")],
    key: Annotated[
        Path | None, typer.Option(help="Public keys in PEM: whether one of their owners signed the archive.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what an archive holds: files with sizes and SHA-256, model card, spec, provenance, signature.

    Nothing of the archive is run. Exit status 1: it cannot be read, contradicts its own card, or, with --key, was not
    signed by the owner of a key.
    """
    try:
        found = Contents.read(archive, trusted(key) if key else None)
    except (VerificationError, SignatureError, OSError) as error:
        refuse(archive, error, 1)
    if as_json:
        typer.echo(json_values.dump(found.to_json()))
    else:
        width_of_a_pipe()
        console.print(text.tree(found))
    if found.problems or found.signature.verified is False:
        raise typer.Exit(1)


def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="A .mar file.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The .mar file to compare it with.")],
    as_json: AsJson = False,
) -> None:
    """Show how archive B differs from A: in its files, in spec and card, in each tensor of its weights.

    Nothing of the archives is run. Exit status 0: both hold the same files. 1: they differ. 2: one cannot be read.
    """
    for archive in (before, after):
        if not archive.exists():
            refuse(archive, FileNotFoundError(2, "no such file"), TROUBLE)
    try:
        found = difference.compare(before, after)
    except (VerificationError, OSError) as error:
        refuse(before, error, TROUBLE)
    if as_json:
        typer.echo(json_values.dump(found.to_json()))
    else:
        width_of_a_pipe()
        for line in text.lines(found):
            console.print(text.plain(line), soft_wrap=True)
    if not found.same:
        raise typer.Exit(DIFFERENT)


def sbom(
    archive: Annotated[
        Path | None,
        typer.Argument(metavar="[ARCHIVE]", help="A .mar file; without one, the environment that runs this."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file instead of standard output.")] = None,
) -> None:
    """Write a software bill of materials: of an archive, or of the packages that are installed here.

    CycloneDX 1.6, JSON. An archive's has its files with SHA-256, its model card, and the packages that it asks for; an
    environment's has every Python distribution with version, licence and the hashes of its lock, the Java of
    TorchServe, and Debian's packages.
    """
    from archiver.reports import bill_of_materials  # a third of a second of imports that other commands can do without
    from trust import environment

    if archive:
        try:
            bill = bill_of_materials.bill(Contents.read(archive))
        except (VerificationError, OSError) as error:
            refuse(archive, error, 1)
    else:
        bill = environment.bill()
    if output:
        output.write_text(bill + "\n", encoding="utf-8")
    else:
        typer.echo(bill)


def width_of_a_pipe() -> None:
    if not console.is_terminal:
        console.width = UNWRAPPED


def refuse(archive: Path, error: Exception, status: int) -> NoReturn:
    """Ends the command with one line."""
    if isinstance(error, VerificationError):
        said = f"{error.subject}: {one_line(error)}"
    elif isinstance(error, OSError):
        said = f"{archive}: cannot be read: {reason(error)}"
    else:
        said = str(error)
    typer.echo(f"archiver: {said}", err=True)
    raise typer.Exit(status)
