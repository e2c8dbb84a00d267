"""The result of each phase: the table, and the requests that reproduce what was unwanted."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.chaos.target import Memory

CLASSES = ("2xx", "4xx", "501", "5xx", "refused", "closed", "left")
NONE = Memory(0, 0)
KEPT = 40  # different findings of a phase
# Beyond this a phase has left memory behind.
GROWTH, SLACK = 1.5, 128 << 20


@dataclass(frozen=True)
class Finding:
    """what: went wrong, the same text for the same fault. request: all that is needed to send it again."""

    what: str
    request: dict[str, Any] = field(default_factory=dict)


@dataclass
class Phase:
    """One row of the table. hung: attackers' and neighbours' requests. restarts: beyond what was killed on purpose."""

    name: str
    requests: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    neighbours: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    before: Memory = NONE
    after: Memory = NONE
    seconds: float = 0.0
    findings: dict[str, Finding] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)
    note: str = ""

    def add(self, finding: Finding) -> None:
        self.times[finding.what] += 1
        if len(self.findings) < KEPT:
            self.findings.setdefault(finding.what, finding)

    @property
    def hung(self) -> int:
        return self.answers["hung"] + self.neighbours["hung"]

    def settle(self) -> None:
        """Count as findings what the numbers alone show."""
        if self.restarts:
            self.add(Finding(f"restarts that nothing asked for: {self.restarts}"))
        for kind, before, after in self.grown:
            self.add(Finding(f"memory of {kind} stayed at {mebibytes(after)} MiB, from {mebibytes(before)}"))

    @property
    def grown(self) -> list[tuple[str, int, int]]:
        """The processes that hold more than they should: their kind, and bytes before and after."""
        sizes = (
            ("workers", self.before.workers, self.after.workers),
            ("java", self.before.java, self.after.java),
        )
        return [(kind, before, after) for kind, before, after in sizes if before and after > GROWTH * before + SLACK]

    def cells(self) -> list[str]:
        if not self.seconds:
            return [self.name, "not run", *[""] * (len(CLASSES) + 6), self.note]
        numbers = [self.answers[kind] for kind in CLASSES]
        neighbours = [self.neighbours["right"], self.neighbours["refused"], self.neighbours["wrong"]]
        memory = [
            f"{mebibytes(before)} → {mebibytes(after)}"
            for before, after in ((self.before.workers, self.after.workers), (self.before.java, self.after.java))
        ]
        counted = [self.requests, *numbers, self.hung, self.restarts]
        right, refused, wrong = neighbours
        return [
            self.name,
            *(f"{number}" for number in counted),
            f"{right}" + (f" + {refused} refused" if refused else ""),
            f"{wrong}",
            *memory,
            self.note or f"{self.seconds:.0f} s",
        ]


COLUMNS = [
    "phase",
    "requests",
    *CLASSES,
    "hung",
    "restarts",
    "neighbours",
    "wrong",
    "workers, MiB",
    "Java, MiB",
    "note",
]
WANTED_ZERO = {"5xx", "hung", "restarts", "wrong"}


def mebibytes(size: int) -> int:
    return round(size / (1 << 20))


def table(phases: Sequence[Phase]) -> Table:
    made = Table(box=None, padding=(0, 1, 0, 0))
    for column in COLUMNS:
        title = f"{column} (0)" if column in WANTED_ZERO else column
        made.add_column(title, justify="left" if column in ("phase", "note") else "right", no_wrap=True)
    for phase in phases:
        cells = phase.cells()
        made.add_row(*(marked(column, cell) for column, cell in zip(COLUMNS, cells, strict=True)))
    return made


def marked(column: str, cell: str) -> str:
    return f"[bold red]{cell}[/]" if column in WANTED_ZERO and cell not in ("", "0") else cell


def markdown(phases: Sequence[Phase]) -> str:
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(phase.cells() for phase in phases)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def summary(phases: Sequence[Phase]) -> list[str]:
    """A line for each kind of unwanted thing."""
    return [f"{phase.name}: {what} (× {phase.times[what]})" for phase in phases for what in phase.findings]


def write(phases: Sequence[Phase], folder: Path) -> Path:
    """The table, and each finding's request as a file; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    lines = [markdown(phases), *(f"- {line}" for line in summary(phases))]
    (folder / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for phase in phases:
        for number, finding in enumerate(phase.findings.values(), 1):
            name = re.sub(r"[^a-z0-9]+", "-", phase.name.lower()).strip("-")
            value = {"phase": phase.name, "what": finding.what, "times": phase.times[finding.what], **finding.request}
            text = json.dumps(value, indent=1, default=str)
            (folder / f"{name}-{number:02}.json").write_text(text + "\n", encoding="utf-8")
    return folder
