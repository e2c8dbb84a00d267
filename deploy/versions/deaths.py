"""Why workers have died, as `./bundle deploy status` shows it."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.table import Table

from deploy.run_folder import DEATHS
from zygote import death_record, quarantine

SHOWN = 5
DIGEST = 12  # characters of a digest, enough for a person to tell two apart
INPUTS = 3  # shown per death


@dataclass(frozen=True)
class Deaths:
    """Deaths of the workers of a server on this machine since it was started.

    counts: deaths by (model, version, verdict). last: the last ones, as `death_record.last` returns them. refused:
    number of refused inputs by (model, version).
    """

    counts: Counter[tuple[str, str, str]]
    last: list[dict[str, Any]]
    refused: Counter[tuple[str, str]]

    @classmethod
    def read(cls, run: Path | None, model: str | None) -> Self:
        """run: None for a server on another machine, which gives no deaths. model: None for all. Raises OSError."""
        if run is None:
            return cls(Counter(), [], Counter())
        folder = str(run / DEATHS)
        return cls(
            Counter({key: n for key, n in death_record.counts(folder).items() if model in (None, key[0])}),
            [death for death in death_record.last(folder) if model in (None, death["model"])],
            Counter(
                (entry.model, entry.version)
                for entry in quarantine.entries(folder)
                if entry.refused and model in (None, entry.model)
            ),
        )

    def of(self, model: str, version: str) -> dict[str, Any]:
        """For --json: number of deaths by verdict, the last deaths, and the number of refused inputs."""
        key = (model, version)
        return {
            "deaths": {verdict: n for (*found, verdict), n in self.counts.items() if tuple(found) == key},
            "last_deaths": [death for death in self.last if (death["model"], death["version"]) == key],
            "quarantined": self.refused[key],
        }

    def show(self, console: Console) -> None:
        """Print nothing if no worker has died."""
        if not self.last:
            return
        table = Table("when", "model", "version", "verdict", "detail", "inputs (SHA-256)", box=None)
        table.pad_edge = False
        for death in self.last[-SHOWN:]:
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(death["at"]))
            digests = [request["sha256"][:DIGEST] for request in death["requests"]]
            more = [f"and {len(digests) - INPUTS} more"] if len(digests) > INPUTS else []
            row = (when, death["model"], death["version"], death["verdict"], death["detail"])
            table.add_row(*row, " ".join(digests[:INPUTS] + more))
        verdicts: Counter[str] = Counter()
        for (_, _, verdict), deaths in self.counts.items():
            verdicts[verdict] += deaths
        total = ", ".join(f"{verdict} {deaths}" for verdict, deaths in verdicts.most_common())
        console.print(f"\nworker deaths since the server was started: {total}; the last:")
        table.columns[-1].overflow = "fold"
        console.print(table)
        if self.refused:
            console.print(f"refused inputs: {self.refused.total()}; list them with ./bundle deploy quarantine list")
