"""The differences between two archives: in their files, in the values of JSON and YAML files, and in tensors."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from archiver.digest import sha256
from archiver.errors import VerificationError
from archiver.mar import MANIFEST, Mar
from archiver.reports import tensors
from archiver.reports.contents import Member, members
from archiver.reports.json_values import as_json, flat
from archiver.reports.tensors import TensorDifference

READABLE = (".json", ".yaml")


@dataclass
class FieldDifference:
    """The differences between two versions of a JSON or YAML file, by key path. changed: values before and after."""

    added: dict[str, Any] = field(default_factory=dict)
    removed: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)


@dataclass
class Difference:
    """The differences between two archives.

    before, after: SHA-256 of the archives. They also differ if the same files were packed differently.
    changed: files that both archives have. fields: by file, for the readable JSON and YAML files among these.
    tensors: None if neither archive has safetensors files, or if these files are the same.
    """

    before: str
    after: str
    added: list[Member]
    removed: list[Member]
    changed: list[tuple[Member, Member]]
    fields: dict[str, FieldDifference]
    tensors: TensorDifference | None

    @property
    def same(self) -> bool:
        """Whether both archives unpack to the same files."""
        return not (self.added or self.removed or self.changed)

    def to_json(self) -> dict[str, Any]:
        found = self.tensors
        return as_json(
            {
                "same": self.same,
                "sha256": {"a": self.before, "b": self.after},
                "members": {
                    "added": [vars(member) for member in self.added],
                    "removed": [vars(member) for member in self.removed],
                    "changed": [
                        {"name": a.name, "size": {"a": a.size, "b": b.size}, "sha256": {"a": a.sha256, "b": b.sha256}}
                        for a, b in self.changed
                    ],
                },
                "fields": {
                    name: {
                        "added": each.added,
                        "removed": each.removed,
                        "changed": {path: {"a": a, "b": b} for path, (a, b) in each.changed.items()},
                    }
                    for name, each in self.fields.items()
                },
                "tensors": None
                if found is None
                else {
                    "added": {name: vars(kind) for name, kind in found.added.items()},
                    "removed": {name: vars(kind) for name, kind in found.removed.items()},
                    "reshaped": {name: {"a": vars(a), "b": vars(b)} for name, (a, b) in found.reshaped.items()},
                    "changed": {
                        name: {
                            "a": asdict(change.before),
                            "b": asdict(change.after),
                            "elements": change.elements,
                            "max_abs_difference": change.max_abs_difference,
                        }
                        for name, change in found.changed.items()
                    },
                    "unchanged": found.unchanged,
                },
            }
        )


def compare(before: Path, after: Path) -> Difference:
    """Compare two archives. Raises VerificationError if one of them cannot be read."""
    with Mar(before, required=[MANIFEST]) as old, Mar(after, required=[MANIFEST]) as new:
        a, b = members(old), members(new)
        common = sorted(a.keys() & b.keys())
        changed = [(a[name], b[name]) for name in common if a[name].sha256 != b[name].sha256]
        return Difference(
            sha256(before),
            sha256(after),
            [b[name] for name in sorted(b.keys() - a.keys())],
            [a[name] for name in sorted(a.keys() - b.keys())],
            changed,
            {
                name: fields(*values)
                for name in (each.name for each, _ in changed if each.name.endswith(READABLE))
                if (values := readable(old, new, name))
            },
            None if weights(a) == weights(b) else tensors.compare(old, new),
        )


def weights(found: dict[str, Member]) -> set[tuple[str, str]]:
    """(name, SHA-256) of each safetensors file."""
    return {(name, member.sha256) for name, member in found.items() if name.endswith(tensors.SUFFIX)}


def readable(old: Mar, new: Mar, name: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """A file's keys and values in both archives; None if one of them cannot be read."""
    try:
        return old.mapping(name), new.mapping(name)
    except VerificationError:
        return None


def fields(before: dict[str, Any], after: dict[str, Any]) -> FieldDifference:
    a, b = dict(flat(as_json(before))), dict(flat(as_json(after)))
    return FieldDifference(
        {path: value for path, value in b.items() if path not in a},
        {path: value for path, value in a.items() if path not in b},
        {path: (value, b[path]) for path, value in a.items() if path in b and not equal(value, b[path])},
    )


def equal(a: Any, b: Any) -> bool:
    """Whether two JSON values are the same; unlike in Python, 1 differs from true and from 1.0."""
    return type(a) is type(b) and a == b
