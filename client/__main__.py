"""Predictions from the shell for one or many inputs; run by `scripts/predict`."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from client import Answer, ClientError, GrpcClient, RestClient, Result, Unreachable
from client.call import TIMEOUT
from client.payload import OCTETS, Payload, sniff

FAILED, USAGE, NO_SERVER = 1, 2, 3

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a file name, or with a NUL in it
        return False


def is_json(text: str | bytes) -> bool:
    """Whether the text is a JSON object or array; a bare word or number is not."""
    try:
        return isinstance(json.loads(text), (dict, list))
    except ValueError:
        return False


def read(argument: str) -> tuple[Path | bytes, str | None]:
    """The payload for an argument and its content type, or None to let the client detect it."""
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
    """Write to a file or to standard output: JSON is indented on a terminal, which other media types refuse."""
    if out:
        out.write_bytes(answer.body)
        return
    text = answer.content_type.startswith("text/") or is_json(answer.body)
    if sys.stdout.isatty():
        if not text:
            size = f"{answer.content_type or OCTETS}, {len(answer.body)} bytes"
            raise typer.BadParameter(f"the answer is {size}; write it to a file", param_hint="-o")
        if is_json(answer.body):
            print(json.dumps(answer.json(), indent=2, ensure_ascii=False))
            return
    sys.stdout.buffer.write(answer.body + b"\n" if text else answer.body)
    sys.stdout.buffer.flush()


def show_pieces(pieces: Iterator[Answer], out: Path | None) -> None:
    """Print only the text as it arrives on a terminal, otherwise every piece on a line."""
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


def input_of(argument: str) -> Payload:
    """The payload for one of several arguments: a file, JSON or text."""
    if argument == "-":
        raise typer.BadParameter("standard input cannot be combined with other inputs", param_hint="-")
    if is_file(argument):
        return Path(argument)
    return cast("Payload", json.loads(argument)) if is_json(argument) else argument


def line_of(source: str, result: Result) -> dict[str, Any]:
    """The output line for one of several inputs; binary answers are encoded as base64."""
    if isinstance(result, Answer):
        if is_json(result.body):
            return {"input": source, "answer": result.json()}
        if result.content_type.startswith("text/"):
            return {"input": source, "answer": result.body.decode("utf-8", "replace")}
        return {"input": source, "content_type": result.content_type, "body": b64encode(result.body).decode()}
    if isinstance(result, ClientError):
        return {"input": source, "error": {"code": result.code, "type": result.type, "message": result.message}}
    return {"input": source, "error": {"code": None, "type": type(result).__name__, "message": str(result)}}


def show_many(results: Iterator[Result], sources: list[str], out: Path | None) -> None:
    """Write a line of JSON per input, in order. Exits with 1 if any of them is an error."""
    failed = False
    with out.open("w", encoding="utf-8") if out else nullcontext(sys.stdout) as file:
        for number, (source, result) in enumerate(zip(sources, results, strict=True)):
            if isinstance(result, Unreachable) and number == 0:
                raise result
            failed |= not isinstance(result, Answer)
            print(json.dumps(line_of(source, result), ensure_ascii=False), file=file, flush=True)
    if failed:
        raise typer.Exit(FAILED)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", show_default=False)],
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|TEXT|-...",
            show_default=False,
            help="A file; or, if no such file exists, a text or JSON; or - for standard input. Several inputs give "
            "lines of JSON.",
        ),
    ],
    grpc: Annotated[bool, typer.Option("--grpc", help="Use gRPC instead of REST.")] = False,
    accept: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Media type of the answer, such as image/png.")
    ] = None,
    content_type: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Media type of the input, if it is not detected correctly.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="OUT", help="Write the answer to this file.")
    ] = None,
    version: Annotated[
        str | None, typer.Option(metavar="V", help="Version of the model; by default the default version.")
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream", help="Show the answer piece by piece while the model generates it.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Explain the prediction; --accept image/png draws the explanation.")
    ] = False,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A parameter of the task, such as top_k=3. Repeatable."),
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="S", min=0.001, help="Seconds to wait for each answer.")] = TIMEOUT,
    jobs: Annotated[int, typer.Option("-j", "--jobs", metavar="N", min=1, help="Number of concurrent inputs.")] = 8,
) -> None:
    """Ask a served model for predictions and print the answers.

    Exit status: 1 after an error answer, 2 for wrong arguments, 3 if no server is running.
    """
    if explain and stream:
        raise typer.BadParameter("an explanation cannot be streamed", param_hint="--explain")
    if len(sources) > 1 and (explain or stream):
        raise typer.BadParameter("works with a single input only", param_hint="--explain" if explain else "--stream")
    parameters = parameters_of(param or [])
    try:
        if len(sources) > 1:
            payloads = [input_of(source) for source in sources]
            with GrpcClient() if grpc else RestClient() as client:
                results = client.predict_many(
                    model,
                    payloads,
                    concurrency=jobs,
                    progress=sys.stderr.isatty(),
                    content_type=content_type,
                    accept=accept,
                    version=version,
                    parameters=parameters,
                    timeout=timeout,
                )
                show_many(results, sources, out)
            return
        payload, found = read(sources[0])
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
        print(f"{error.message}; start a server with ./scripts/serve", file=sys.stderr)
        raise typer.Exit(NO_SERVER) from None
    except ClientError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(FAILED) from None
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None


if __name__ == "__main__":
    app(prog_name="predict")
