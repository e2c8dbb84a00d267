"""One prediction from the shell; `scripts/predict` runs it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from client import Answer, ClientError, GrpcClient, RestClient, Unreachable
from client.payload import OCTETS, sniff
from client.rest import TIMEOUT

FAILED, USAGE, NO_SERVER = 1, 2, 3

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or a NUL in it
        return False


def is_json(text: str | bytes) -> bool:
    """Whether it is a JSON object or array; a bare word or number is text."""
    try:
        return isinstance(json.loads(text), (dict, list))
    except ValueError:
        return False


def read(argument: str) -> tuple[Path | bytes, str | None]:
    """The payload that INPUT stands for and its content type, None where the client finds it by itself."""
    if argument != "-" and is_file(argument):
        return Path(argument), None
    data = sys.stdin.buffer.read() if argument == "-" else argument.encode("utf-8", "surrogateescape")
    if is_json(data):
        return data, "application/json"
    try:
        data.decode()
    except UnicodeDecodeError:
        return data, sniff(data) or OCTETS
    return data, sniff(data) or "text/plain"


def parameters_of(pairs: list[str]) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"got {pair!r}, wanted name=value", param_hint="--param")
        parameters[name] = value
    return parameters


def show(answer: Answer, out: Path | None) -> None:
    """To the file, or to standard output: JSON indented on a terminal, other media types only where none is."""
    if out:
        out.write_bytes(answer.body)
        return
    text = answer.content_type.startswith("text/") or is_json(answer.body)
    if sys.stdout.isatty():
        if not text:
            size = f"{answer.content_type or OCTETS}, {len(answer.body)} bytes"
            raise typer.BadParameter(f"the answer is {size}; name a file for it", param_hint="-o")
        if is_json(answer.body):
            print(json.dumps(answer.json(), indent=2, ensure_ascii=False))
            return
    sys.stdout.buffer.write(answer.body + b"\n" if text else answer.body)
    sys.stdout.buffer.flush()


def show_pieces(pieces: Iterator[Answer], out: Path | None) -> None:
    """On a terminal the text alone as it comes; else every piece, a line each."""
    if not out and sys.stdout.isatty():
        for piece in pieces:
            print(piece.json()["text"] if is_text(piece) else piece.body.decode("utf-8", "replace"), end="", flush=True)
        print()
        return
    with out.open("wb") if out else nullcontext(sys.stdout.buffer) as file:
        for piece in pieces:
            file.write(piece.body.rstrip(b"\n") + b"\n")
            file.flush()


def is_text(piece: Answer) -> bool:
    return is_json(piece.body) and isinstance(piece.json(), dict) and isinstance(piece.json().get("text"), str)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", show_default=False)],
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|TEXT|-",
            show_default=False,
            help="A file; or, where no file has that name, the text itself, or JSON; or - for standard input.",
        ),
    ],
    grpc: Annotated[bool, typer.Option("--grpc", help="Over gRPC instead of REST.")] = False,
    accept: Annotated[str | None, typer.Option(metavar="TYPE", help="Media type of the answer: image/png.")] = None,
    content_type: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Of the input, where it is not what it looks like.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="OUT", help="Write the answer there.")] = None,
    version: Annotated[str | None, typer.Option(metavar="V", help="Of the model; the default one otherwise.")] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Show the answer piece by piece, as the model writes it.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what the prediction rests on; --accept image/png draws it.")
    ] = False,
    param: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter of the task: top_k=3. Repeatable.")
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="S", min=0.001, help="Seconds to wait.")] = TIMEOUT,
) -> None:
    """Ask a served model for one prediction and print the answer.

    Ends with 1 on an error answer, 2 on a wrong call, 3 when no server is running.
    """
    if explain and stream:
        raise typer.BadParameter("an explanation does not come in pieces", param_hint="--explain")
    parameters = parameters_of(param or [])
    try:
        payload, found = read(source)
        with GrpcClient() if grpc else RestClient() as client:
            options: dict[str, Any] = {
                "content_type": content_type or found,
                "accept": accept,
                "version": version,
                "parameters": parameters,
                "timeout": timeout,
            }
            if stream:
                show_pieces(client.stream(model, payload, **options), out)
            else:
                ask = client.explain if explain else client.predict
                show(ask(model, payload, **options), out)
    except Unreachable as error:
        print(f"{error.message}; ./scripts/serve starts a server", file=sys.stderr)
        raise typer.Exit(NO_SERVER) from None
    except ClientError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(FAILED) from None
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None


if __name__ == "__main__":
    app(prog_name="predict")
