"""Problems in a data set, counted by kind, with the names of the first few."""

from __future__ import annotations

from typing import Any

from train.core.data_file import shown

NAMED = 5
MAX_KINDS = 50
OTHERS = "other problems"


class DataProblems:
    """Problems by kind, such as "image: no such file".

    counts: number of problems of each kind, and of OTHERS beyond MAX_KINDS of them, because a kind can contain a value
    of the data. first: names of the first NAMED of them. len() is the total number.
    """

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.first: dict[str, list[str]] = {}

    def add(self, kind: str, name: str) -> None:
        kind = shown(kind)
        if kind not in self.counts and len(self.counts) >= MAX_KINDS:
            kind = OTHERS
        self.counts[kind] = self.counts.get(kind, 0) + 1
        named = self.first.setdefault(kind, [])
        if len(named) < NAMED:
            named.append(shown(name))

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __str__(self) -> str:
        """One line per kind, the most frequent first; empty if there are no problems."""
        lines = []
        for kind, count in sorted(self.counts.items(), key=lambda item: -item[1]):
            more = ", …" if count > len(self.first[kind]) else ""
            lines.append(f"{count} × {kind} ({', '.join(self.first[kind])}{more})")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """{kind: {"count", "first"}}, for a run's records."""
        return {kind: {"count": count, "first": self.first[kind]} for kind, count in self.counts.items()}
