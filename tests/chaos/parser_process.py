"""One parser under hostile inputs, in a process that may hang or die: python -m tests.chaos.parser_process --help

The input that is being read stands in a file, which outlives the process and is empty between two inputs. Each line of
standard output is a JSON object: {"inputs", "peak"} now and then, {"what", "input"} for what went wrong.
"""

from __future__ import annotations

import base64
import faulthandler
import json
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Annotated, Literal

import psutil
import typer

from tests.chaos.inputs.generation import rounds
from tests.chaos.parsers import PARSERS, Parser

SECONDS = 10.0  # that one input may take; the process that started us looks at the file's age
READING = b"."  # stands before an input, so that no file of one is empty
MOST_MEMORY = 1 << 30  # bytes that one input may add to the process's peak
ADDRESS_SPACE = 6 << 30  # bytes beyond what the imports take; where an input wants more, it gets a MemoryError
REPORTING = 1.0
MOST_FOUND = 20  # of different kinds


def main(
    name: str,
    current: Annotated[Path, typer.Argument(help="The file for the input that is being read.")],
    seconds: Annotated[float, typer.Option(help="To read for.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Of the inputs.")] = 0,
    by: Annotated[Literal["strategies", "coverage"], typer.Option(help="How the inputs are found.")] = "strategies",
) -> None:
    """Read generated inputs by one parser."""
    faulthandler.enable()
    now = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (now + ADDRESS_SPACE, now + ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    reading = Reading(PARSERS[name], current)
    if by == "coverage":
        by_coverage(reading, name, seconds, seed)
    end = 0.0
    for made in rounds(PARSERS[name].inputs(), seed):
        end = end or time.monotonic() + seconds  # the first take long to draw
        for data in made:
            reading.read(data)
            if time.monotonic() > end:
                reading.report()
                return


class Reading:
    """The inputs that were read, and what came of them."""

    def __init__(self, parser: Parser, current: Path) -> None:
        self.parser, self.current = parser, current
        self.inputs = 0
        self.found: set[str] = set()
        self.peak = peak()
        self.reported = 0.0

    def read(self, data: bytes) -> None:
        self.current.write_bytes(READING + data)
        self.inputs += 1
        before = self.peak
        try:
            self.parser.read(data)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - this is what is looked for
            place = traceback.extract_tb(error.__traceback__)[-1]
            self.tell(f"{type(error).__name__} in {Path(place.filename).name}, {place.name}: {str(error)[:80]}", data)
        self.current.write_bytes(b"")
        self.peak = peak()
        if self.peak - before > MOST_MEMORY:
            self.tell(f"took more than {MOST_MEMORY >> 20} MiB", data)
        if time.monotonic() - self.reported > REPORTING:
            self.report()

    def tell(self, what: str, data: bytes) -> None:
        kind = what.partition(":")[0]
        if kind in self.found or len(self.found) >= MOST_FOUND:
            return
        self.found.add(kind)
        print(json.dumps({"what": what, "input": base64.b64encode(data).decode()}), flush=True)

    def report(self) -> None:
        self.reported = time.monotonic()
        print(json.dumps({"inputs": self.inputs, "peak": self.peak}), flush=True)


def peak() -> int:
    """Bytes of memory this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def by_coverage(reading: Reading, name: str, seconds: float, seed: int) -> None:
    """Let atheris look for inputs that reach more of our code; ends the process."""
    import atheris

    for module in [module for key, module in sys.modules.items() if key.startswith(("handlers.", "archiver."))]:
        for key, value in vars(module).items():
            if callable(value) and getattr(value, "__module__", "") == module.__name__ and hasattr(value, "__code__"):
                setattr(module, key, atheris.instrument_func(value))
    corpus = reading.current.with_suffix(".corpus")
    corpus.mkdir(exist_ok=True)
    for number, sample in enumerate(PARSERS[name].samples()):
        (corpus / str(number)).write_bytes(sample)
    options = [f"-max_total_time={max(1, round(seconds))}", f"-seed={seed + 1}", "-max_len=200000", "-rss_limit_mb=0"]
    atheris.Setup([sys.argv[0], *options, "-verbosity=0", str(corpus)], reading.read)
    atheris.Fuzz()


if __name__ == "__main__":
    typer.run(main)
