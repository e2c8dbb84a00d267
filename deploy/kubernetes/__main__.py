"""`python -m deploy.kubernetes [--check]`: regenerates files in kubernetes/ after a change to the chart.

--check writes nothing and exits with 1 if a file is out of date. Needs Helm.
"""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.configuration import PROJECT
from deploy.kubernetes import chart, kserve, kustomization

ROOT = PROJECT / "kubernetes"


def stale() -> list[Path]:
    """The files that are out of date, and those that should not exist."""
    found = [path for path, text in contents().items() if not path.is_file() or path.read_text("utf-8") != text]
    there = {path for path in (ROOT / "kustomize").rglob("*") if path.is_file()}
    return found + sorted(there - contents().keys() - {path for path in there if "overlays" in path.parts})


def contents() -> dict[Path, str]:
    """Content by path; the chart comes first, because the rest is rendered from it."""
    return {
        **{ROOT / "chart" / name: text for name, text in chart.generated().items()},
        **{ROOT / "kustomize" / name: text for name, text in kustomization.generated().items()},
        **{ROOT / "kserve" / name: text for name, text in kserve.generated().items()},
    }


def write() -> None:
    for name, text in chart.generated().items():
        put(ROOT / "chart" / name, text)
    for path, text in contents().items():
        put(path, text)
    for path in stale():
        path.unlink()


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    if not sys.argv[1:]:
        write()
    elif found := stale():
        names = ", ".join(str(path.relative_to(PROJECT)) for path in found)
        sys.exit(f"out of date: {names}; run `python -m deploy.kubernetes`")


if __name__ == "__main__":
    main()
