"""Writes the artifact, the spec and the labels file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from archiver.artifact import DESCRIPTION
from archiver.errors import Problem, SpecError
from archiver.new.findings import Findings, Setting

WIDTH = 110  # of a line of the spec


@dataclass(frozen=True)
class Places:
    """Paths of a new model's files, none of which may exist yet."""

    artifact: Path
    spec: Path
    labels: Path

    def check(self) -> None:
        """Raise SpecError if one of them exists."""
        there = [path for path in (self.artifact, self.spec, self.labels) if path.exists()]
        if there:
            named = ", ".join(map(str, there))
            raise SpecError(
                self.spec.stem, [Problem("the name", f"is already used: {named}; delete it or choose another name")]
            )

    def remove(self) -> None:
        """Delete the written files."""
        shutil.rmtree(self.artifact, ignore_errors=True)
        for path in (self.spec, self.labels):
            path.unlink(missing_ok=True)


def write(name: str, source: Path, found: Findings, sample: Path, places: Places) -> None:
    places.check()
    places.spec.parent.mkdir(parents=True, exist_ok=True)
    write_artifact(name, source, found, sample, places.artifact)
    if found.labels:
        places.labels.write_text(labels_text(found.labels, places.labels), encoding="utf-8")
    places.spec.write_text(spec_text(name, source, found, places), encoding="utf-8")


def write_artifact(name: str, source: Path, found: Findings, sample: Path, folder: Path) -> None:
    """Write the artifact folder atomically. Everything that users may change is in the spec."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)  # an error where a link lies, which rmtree leaves
    for place, file in found.files.items():
        target = partial / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    shutil.copyfile(sample, partial / f"sample{sample.suffix.lower()}")
    description: dict[str, Any] = {
        "schema": 1,
        "name": name,
        "task": found.task,
        "format": found.format,
        "weights": found.weights,
        "architecture": None,
        "labels": [],
        "preprocessing": {},
        "sample": f"sample{sample.suffix.lower()}",
        "metrics": {},
        "training": {"source": source.resolve().name},
        "versions": {},
    }
    text = json.dumps(description, indent=2, ensure_ascii=False)
    (partial / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
    partial.rename(folder)


def labels_name(labels: list[str]) -> str:
    """The labels file's name: text lines, or JSON if a name would not fit on one line."""
    plain = all(label and label == label.strip() and label.splitlines() == [label] for label in labels)
    return ".labels.txt" if plain else ".labels.json"


def labels_text(labels: list[str], path: Path) -> str:
    lines = [json.dumps(labels, indent=2, ensure_ascii=False)] if path.suffix == ".json" else labels
    return "\n".join(lines) + "\n"


def spec_text(name: str, source: Path, found: Findings, places: Places) -> str:
    """The text of the spec, with comments on the origin of each value."""
    lines = [f"# {name}: {found.task}, from {found.kind}, {source.resolve().name}."]
    lines += ["# Every key and its default: docs/own-model.md; ./bundle build " + name + " checks it."]
    for thing in found.missing:
        lines += [f"# FILL IN: {thing}"]
    lines += [f"task: {found.task}"]
    if found.labels:
        lines += entry(Setting("labels", places.labels.name, found.labels_from))
    for setting in found.settings:
        lines += entry(setting)
    lines += ["# Differences from the defaults that are often wanted:"]
    lines += ['# version: "1.0"', "# batch: {size: 16, delay_ms: 4}", "# workers: 2"]
    return "\n".join(lines) + "\n"


def entry(setting: Setting) -> Iterator[str]:
    """The lines of one key; a mapping has one line per key."""
    comment = setting.comment if setting.certain else f"CHECK: {setting.comment}" if setting.comment else ""
    if isinstance(setting.value, dict) and setting.value:
        yield f"{setting.key}:" + (f"  # {comment}" if comment else "")
        for key, value in setting.value.items():
            yield f"  {flow({key: value})}"
    else:
        yield flow({setting.key: setting.value}) + (f"  # {comment}" if comment else "")


def flow(value: dict[str, Any]) -> str:
    """One key and its value on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.strip()[1:-1]
