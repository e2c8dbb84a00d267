"""Runs all checks side by side, and reports them as text or JSON."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict

from deploy.doctor.archives import archives
from deploy.doctor.checkout import Checkout
from deploy.doctor.containers import containers
from deploy.doctor.environment import environment
from deploy.doctor.finding import Finding, Level, problem
from deploy.doctor.gpus import gpus
from deploy.doctor.package_index import package_index
from deploy.doctor.packages import java, packages
from deploy.doctor.ports import ports
from deploy.doctor.private_files import private_files
from deploy.doctor.server import server
from deploy.doctor.system import disk, memory, operating_system, processors, python_version

Check = Callable[[Checkout], Iterable[Finding]]
CHECKS: tuple[Check, ...] = (
    python_version,
    operating_system,
    processors,
    memory,
    disk,
    gpus,
    environment,
    packages,
    java,
    archives,
    server,
    ports,
    private_files,
    containers,
    package_index,
)
COLOURS = {Level.OK: "32", Level.NOTE: "33", Level.PROBLEM: "31"}
SUBJECT_WIDTH = 13
WIDTH = 120


def examine(checkout: Checkout, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """The findings, in the order of the checks. A check that fails is reported as a problem; the others still run."""
    with ThreadPoolExecutor() as pool:
        futures = [(check, pool.submit(found, check, checkout)) for check in checks]
    return [finding for check, future in futures for finding in outcome(check, future)]


def found(check: Check, checkout: Checkout) -> list[Finding]:
    return list(check(checkout))


def outcome(check: Check, future: Future[list[Finding]]) -> list[Finding]:
    error = future.exception()
    if error is None:
        return future.result()
    text = f"could not be checked: {type(error).__name__}: {error}"
    return [problem(check.__name__.replace("_", " "), text, "a bug report with this line would help")]


def exit_status(findings: Iterable[Finding]) -> int:
    return int(any(finding.level is Level.PROBLEM for finding in findings))


def as_text(findings: Iterable[Finding], colour: bool = False) -> str:
    """A line for each finding, wrapped, followed by its remedy."""
    lines = []
    for finding in findings:
        mark = finding.level.mark
        if colour:
            mark = f"\033[{COLOURS[finding.level]}m{mark}\033[0m"
        margin = " " * (SUBJECT_WIDTH + 3)
        wrapped = textwrap.wrap(finding.text, WIDTH - len(margin), break_long_words=False, break_on_hyphens=False)
        first, *others = wrapped or [""]
        lines.append(f"{mark} {finding.subject:<{SUBJECT_WIDTH}} {first}")
        lines += [margin + line for line in others]
        if finding.remedy:
            lines.append(f"{margin}→ {finding.remedy}")
    return "\n".join(lines) + "\n"


def as_json(findings: Iterable[Finding]) -> str:
    everything = list(findings)
    document = {"ok": exit_status(everything) == 0, "findings": [asdict(finding) for finding in everything]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def wants_colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ
