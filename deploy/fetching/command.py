"""`python -m deploy.fetching`: fetches archives before a server starts, for example in an init container."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from deploy.errors import DeployError
from deploy.fetching.download import fetch
from deploy.fetching.source import Source
from trust.errors import SignatureError
from trust.keys import PublicKey, trusted

EVERY = 5.0  # seconds between two progress lines
Urls = Annotated[
    list[str], typer.Argument(metavar="URL#sha256=…", help="Address of an archive: s3, gs, az, hf, https, oci or file.")
]


def command(
    urls: Urls,
    store: Annotated[Path, typer.Option(help="Folder for the archives.")],
    require_signed: Annotated[
        Path | None,
        typer.Option(
            envvar="BUNDLE_REQUIRE_SIGNED",
            metavar="KEYFILE",
            help="Public keys in PEM; one of them must have signed each archive.",
        ),
    ] = None,
) -> None:
    """Fetch archives into a store: what is there already stays, and what was broken off goes on."""
    signal.signal(signal.SIGTERM, interrupt)  # which the first process of a container would not notice
    try:
        for path in fetch_all(urls, store, require_signed):
            typer.echo(path.name)
    except DeployError as error:
        typer.echo(f"fetch: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        typer.echo("fetch: stopped; the next call goes on from here", err=True)
        raise typer.Exit(130) from None


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def fetch_all(urls: Sequence[str], store: Path, keys: Path | None = None) -> list[Path]:
    """The archives of these addresses, each once. Raises DeployError; all addresses are read before any is fetched, and
    of two archives of one name none takes the other's place.
    """
    sources, problems = [], []
    for url in urls:
        try:
            sources.append(Source.parse(url))
        except DeployError as error:
            problems.append(str(error))
    if problems:
        raise DeployError("; ".join(problems))
    names: dict[str, Source] = {}

    def claim(name: str, source: Source) -> None:
        other = names.setdefault(name, source)
        if other.sha256 != source.sha256:
            raise DeployError(f"{other.shown} and {source.shown} have the same name, {name}")

    for source in sources:
        if source.scheme != "oci":  # a registry says the name
            claim(source.name, source)
    paths = [fetch(source, store, Lines(), keys_in(keys), claim) for source in sources]
    return list(dict.fromkeys(paths))


def keys_in(path: Path | None) -> Sequence[PublicKey]:
    try:
        return trusted(path) if path else ()
    except SignatureError as error:
        raise DeployError(str(error)) from None


class Lines:
    """Prints a progress line every few seconds, for logs and terminals."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def __call__(self, name: str, done: int, size: int | None) -> None:
        now = time.monotonic()
        if now - self.last < EVERY and done != size:
            return
        self.last = now
        part = f" ({done / size:.0%})" if size else ""
        typer.echo(f"{name}: {done / 1e6:.1f} MB{part}", err=True)
