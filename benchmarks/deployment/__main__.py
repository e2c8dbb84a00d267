"""`./bundle bench URL`: load on a deployment, wherever it is."""

from __future__ import annotations

import json
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.deployment.measurement import Measurement, measure
from benchmarks.deployment.sizing import Replica
from client import ClientError
from client.credentials import Credentials
from client.payload import encode
from client.server import Server
from deploy.tuning.command import milliseconds
from deploy.tuning.rest_load import Target, closed_loop

WARM_UP = 2.0  # seconds
# Requests alone: of fewer the slowest hundredth says little. Seconds for them: at first, and at most beside those.
ENOUGH, ALONE, MORE = 300, 5.0, 25.0
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console(highlight=False)


@app.command()
def bench(
    url: Annotated[str, typer.Argument(help="Of a model, as in https://models.example.org/predictions/imagenet.")],
    inputs: Annotated[list[Path], typer.Option("--input", "-i", help="A file to send; several are sent in turn.")],
    rates: Annotated[str, typer.Option("--rate", help="Requests a second, a list.")] = "10",
    seconds: Annotated[float, typer.Option(min=1, help="Of each rate.")] = 30.0,
    key_file: Annotated[
        Path | None, typer.Option(envvar="TORCHSERVE_KEY_FILE", help="keys.json or key_file.json, if a key is wanted.")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(envvar="TORCHSERVE_CA_FILE", help="The certificates to trust, PEM.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Of the model in all replicas that are measured: also say how many are needed.")
    ] = 0,
    replicas: Annotated[int, typer.Option(min=1, help="That are measured.")] = 1,
    p99: Annotated[
        float | None, typer.Option(parser=milliseconds, metavar="TIME", help="The longest to accept, as in 50ms.")
    ] = None,
    targets: Annotated[str, typer.Option(help="Rates to size replicas for, a list.")] = "10,30,100,300,1000",
    seed: Annotated[int, typer.Option(help="The same seed gives the same arrivals.")] = 0,
    output: Annotated[Path, typer.Option(help="For deployment.json and deployment.png.")] = Path("bench"),
) -> None:
    """Send requests that arrive as strangers' do, by chance and whether or not those before are answered.

    Latencies count from the time a request was due, so that those which a slow server makes wait are not left out.
    With --workers and --p99, the time of a request alone and the deployment's capacity are measured first, and a table
    says how many replicas other rates need.
    """
    encoded = [encode(path) for path in inputs]
    bodies = [body for body, _ in encoded]
    output.mkdir(parents=True, exist_ok=True)
    try:
        target = target_of(url, key_file, ca_file, encoded[0][1])
        replica = sized(target, bodies, workers, replicas) if workers and p99 else None
        found = []
        for number, rate in enumerate(numbers(rates, "--rate")):
            with console.status(f"{rate:g} requests a second for {seconds:g} s"):
                found.append(measure(target, bodies, rate, seconds, seed + number))
    except ClientError as error:
        typer.echo(f"bench: {error}", err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"bench: {urlsplit(url).netloc} cannot be reached: {error}", err=True)
        raise typer.Exit(3) from None
    console.print(table(found, replica, replicas))
    record: dict[str, Any] = {"url": url, "measurements": [each.to_dict() for each in found]}
    if replica and p99:
        sizes = {rate: replica.needed(rate, 99, p99 / 1000) for rate in numbers(targets, "--targets")}
        console.print(size_table(sizes, replica, p99))
        record["replica"] = {"workers": replica.workers, "capacity": replica.capacity, "stretch": replica.stretch}
        for each in record["measurements"]:
            times = predicted(replica, each["rate"], replicas)
            each |= {name: value if isfinite(value) else None for name, value in times.items()}
        record["replicas"] = {f"{rate:g}": number for rate, number in sizes.items()}
    (output / "deployment.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if find_spec("matplotlib"):
        from benchmarks.deployment.plot import plot

        plot(found, output / "deployment.png")


def numbers(text: str, option: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < each <= 100_000 for each in found):
        raise typer.BadParameter(f"{option} {text!r}: wanted numbers between 0 and 100000, as in 10,20")
    return found


def target_of(url: str, key_file: Path | None, ca_file: Path | None, content_type: str) -> Target:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not parts.path.strip("/"):
        raise typer.BadParameter(f"{url!r}: wanted http:// or https://, a host and the path of a model")
    bearer = Credentials(Server(key_file=key_file)).bearer("inference")
    tls = parts.scheme == "https"
    return Target(
        parts.port or (443 if tls else 80),
        parts.path + (f"?{parts.query}" if parts.query else ""),
        {"Content-Type": content_type, **({"Authorization": bearer} if bearer else {})},
        host=parts.hostname,
        tls=tls,
        ca_file=ca_file,
    )


def sized(target: Target, bodies: list[bytes], workers: int, replicas: int) -> Replica:
    """One replica of those that are measured: a request alone, and as many as there are answers for."""
    with console.status("a request at a time"):
        alone = closed_loop(target, bodies, 1, ALONE, WARM_UP)
        replies = list(alone.replies)
        if 0 < len(replies) < ENOUGH:
            more = min(MORE, ALONE * (ENOUGH / len(replies) - 1))
            replies += closed_loop(target, bodies, 1, more, 0.0).replies
    with console.status("as many requests as are answered"):
        full = closed_loop(target, bodies, 4 * workers, 10.0, WARM_UP)
    if alone.errors or not alone.replies or not full.throughput:
        raise typer.BadParameter(f"{alone.errors} of {len(alone.replies)} requests failed: nothing can be said of it")
    return Replica(max(1, workers // replicas), [reply.latency for reply in replies], full.throughput / replicas)


def table(found: list[Measurement], replica: Replica | None, replicas: int) -> Table:
    made = Table("due/s", "answered/s", "errors", "p50 ms", "p99 ms", "p99.9 ms")
    if replica:
        made.add_column("p50 ms by the model")
        made.add_column("p99 ms by the model")
    for each in found:
        row = [f"{each.rate:g}", f"{each.answered:.1f}", str(each.errors)]
        row += [f"{value:.1f}" for value in (each.p50, each.p99, each.p999)]
        if replica:
            row += [f"{value:.1f}" for value in predicted(replica, each.rate, replicas).values()]
        made.add_row(*row)
    return made


def predicted(replica: Replica, rate: float, replicas: int) -> dict[str, float]:
    """Milliseconds."""
    return {f"p{percent}_by_the_model": replica.percentile(percent, rate, replicas) * 1000 for percent in (50, 99)}


def size_table(sizes: dict[float, int | None], replica: Replica, p99: float) -> Table:
    title = f"p99 of {p99:g} ms; a replica has {replica.workers} workers and answers {replica.capacity:.1f}/s at most"
    made = Table("requests/s", "replicas", "of their capacity", title=title)
    for rate, number in sizes.items():
        share = f"{rate / number / replica.capacity:.0%}" if number else ""
        made.add_row(f"{rate:g}", str(number) if number else "none: a request alone takes longer", share)
    return made


if __name__ == "__main__":
    app()
