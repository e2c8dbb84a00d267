"""`python3 -m deploy.doctor`: the doctor with nothing but Python's standard library."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.doctor import bug_report
from deploy.doctor.checkout import Checkout
from deploy.doctor.report import as_json, as_text, examine, exit_status, wants_colour
from deploy.errors import DeployError

SUMMARY = "Check what this machine can do: hardware, installation, archives, ports, secrets."
DETAILS = "Exit status: 0 without a problem (✗), 1 with one. A remark (!) does not count."
JSON_HELP = "The findings as JSON."
BUNDLE_HELP = "Also write an archive for a bug report, with keys, tokens and names removed."


def diagnose(as_document: bool, archive: Path | None) -> int:
    """Print the report and write the archive that is asked for; the exit status."""
    checkout = Checkout.detect()
    findings = examine(checkout)
    print(as_json(findings) if as_document else as_text(findings, wants_colour()), end="")
    if archive:
        try:
            names = bug_report.write(checkout, findings, archive)
        except (DeployError, OSError) as error:
            print(f"doctor: {error}", file=sys.stderr)
            return 1
        # To standard error, where it does not disturb the JSON.
        print(f"{archive}: {len(names)} files, secrets removed; look through it before you send it", file=sys.stderr)
    return exit_status(findings)


def main(arguments: Sequence[str] | None = None, program: str = "python -m deploy.doctor") -> int:
    parser = argparse.ArgumentParser(program, description=f"{SUMMARY} {DETAILS}")
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    parser.add_argument(
        "--bundle", nargs="?", type=Path, const=bug_report.default_name(), metavar="FILE.tar.gz", help=BUNDLE_HELP
    )
    given = parser.parse_args(arguments)
    return diagnose(given.json, given.bundle)


if __name__ == "__main__":
    sys.exit(main())
