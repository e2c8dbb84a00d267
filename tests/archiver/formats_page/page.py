"""The rows of docs/formats.md."""

from __future__ import annotations

import re

import numpy as np

from tests.archiver.formats_page.case import Case
from tests.handlers.vision.served import PROJECT

PAGE = PROJECT / "docs" / "formats.md"
NUMBER = re.compile(r"-?\d+\.\d+")


def start_of(case: Case) -> str:
    return f"| {case.weights} | {case.task} | `{case.command}` |"


def row_of(case: Case, ours: str, theirs: str) -> str:
    return f"{start_of(case)} {ours} | {theirs} ({case.library}) |"


def line_of(case: Case) -> str:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return next((line for line in lines if line.startswith(start_of(case))), "")


def answers_of(case: Case) -> list[str]:
    """The served one and the library's, as the page has them."""
    return [part.strip() for part in line_of(case).removeprefix(start_of(case)).split("|")[:2]] or ["", ""]


def put(case: Case, ours: str, theirs: str) -> None:
    """Into the row of the case; a row that is missing goes to the end of the page, to be moved by hand."""
    text, line = PAGE.read_text(encoding="utf-8"), line_of(case)
    row = row_of(case, ours, theirs)
    PAGE.write_text(text.replace(line, row) if line else f"{text}{row}\n", encoding="utf-8")


def alike(one: str, other: str) -> bool:
    """The same words, and numbers that differ by their last digit at most."""
    mine, wanted = ([float(number) for number in NUMBER.findall(text)] for text in (one, other))
    words = [NUMBER.sub("", text) for text in (one, other)]
    digits = {len(number.partition(".")[2]) for number in NUMBER.findall(one)}
    return words[0] == words[1] and np.allclose(mine, wanted, atol=2.5 * 10.0 ** -min(digits, default=3))
