"""The folders that the doctor examines, and the packages installed in their environment."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from deploy.configuration import PROJECT, run_folder

PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True)
class Checkout:
    """project: the root of the checkout. run: the working folder of its server."""

    project: Path
    run: Path

    @classmethod
    def detect(cls) -> Checkout:
        return cls(PROJECT, run_folder())

    @property
    def store(self) -> Path:
        return self.project / "model_store"

    @property
    def secrets(self) -> Path:
        return self.project / "secrets"

    @property
    def python(self) -> Path:
        """The environment's interpreter, whether it exists or not."""
        return self.project / ".venv" / "bin" / "python"

    @property
    def packages(self) -> Path | None:
        """The environment's site-packages: the doctor itself may run outside the environment."""
        return next(self.project.glob(".venv/lib/python3.*/site-packages"), None)

    def installed(self) -> dict[str, str]:
        """Name → version of every package in the environment."""
        if self.packages is None:
            return {}
        found = distributions(path=[str(self.packages)])
        return {normalised(d.metadata["Name"]): d.version for d in found if d.metadata["Name"]}

    def locked(self, group: str) -> dict[str, set[str]]:
        """Name → versions in a group's lock: more than one where they depend on the Python version."""
        versions: dict[str, set[str]] = {}
        for name, version in PINNED.findall((self.project / "requirements" / f"{group}.lock").read_text("utf-8")):
            versions.setdefault(normalised(name), set()).add(version)
        return versions

    def state(self) -> dict[str, Any] | None:
        """The description that the running server wrote; None without a server. Raises ValueError if it is not JSON."""
        try:
            described: dict[str, Any] = json.loads((self.run / "server.json").read_text("utf-8"))
        except FileNotFoundError:
            return None
        return described


def normalised(name: str) -> str:
    """A package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
