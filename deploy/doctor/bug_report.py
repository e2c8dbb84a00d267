"""An archive for a bug report: findings of the doctor, settings, logs, models and versions, without secrets."""

from __future__ import annotations

import io
import json
import os
import platform
import re
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from deploy import configuration
from deploy.doctor.archives import described, stored
from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import Finding
from deploy.doctor.redaction import HIDDEN, Redactor
from deploy.doctor.report import as_json, as_text
from deploy.errors import DeployError
from deploy.ports import Ports

LOG_BYTES = 256 * 1024  # of each log, from its end
LOGS = 12  # the newest
PRIVATE_SETTING = re.compile("pass|keystore|private|certificate|secret")


def default_name() -> Path:
    return Path(time.strftime("bundle-report-%Y%m%d-%H%M%S.tar.gz"))


def write(checkout: Checkout, findings: Sequence[Finding], path: Path) -> list[str]:
    """Write the archive, readable by its owner only, and return the names of its files. Raises DeployError, OSError.

    Everything passes through a Redactor. If a known secret remains nevertheless, nothing is written.
    """
    redactor = Redactor.of(checkout)
    files = dict(contents(checkout, findings, redactor))
    left = [name for name, text in files.items() if redactor.leaks(name + text)]
    if left:
        raise DeployError(f"not written: a secret would be left in {', '.join(left)}")
    root = path.name.partition(".")[0]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in files.items():
            data = text.encode()
            # Owner and group stay empty: they would name the user.
            entry = tarfile.TarInfo(f"{root}/{name}")
            entry.size, entry.mtime = len(data), int(time.time())
            archive.addfile(entry, io.BytesIO(data))
    return list(files)


def contents(checkout: Checkout, findings: Sequence[Finding], redactor: Redactor) -> Iterator[tuple[str, str]]:
    yield "doctor.txt", redactor(as_text(findings))
    yield "doctor.json", redactor(as_json(findings))
    yield "config.properties", settings(checkout, redactor)
    yield "models.json", redactor.anonymous(json.dumps(models(checkout), indent=2) + "\n")
    yield "versions.txt", versions(checkout)
    yield "environment.txt", redactor.variables(os.environ)
    logs = sorted((checkout.run / "logs").glob("*.log"), key=lambda log: log.stat().st_mtime)[-LOGS:]
    for log in logs:
        yield f"logs/{log.name}", redactor.log(tail(log))


def settings(checkout: Checkout, redactor: Redactor) -> str:
    """TorchServe's settings as rendered for the last server, or for the next one.

    Settings that the committed file does not contain are left out, because they may hold anything; so are the paths
    and passwords of key stores.
    """
    rendered = checkout.run / "config.properties"
    known = configuration.read(checkout.project / "config.properties")
    found = configuration.read(rendered) if rendered.is_file() else configuration.render(checkout.store, Ports())
    shown = {
        name: redactor(value) if name in known and not PRIVATE_SETTING.search(name) else HIDDEN
        for name, value in found.items()
    }
    return "".join(f"{name}={value}\n" for name, value in shown.items())


def models(checkout: Checkout) -> list[dict[str, Any]]:
    """For each archive of the store, the name, version and digests of its card, or the reason why it is unreadable."""
    found: list[dict[str, Any]] = []
    for path in stored(checkout):
        try:
            found.append(described(path))
        except (DeployError, OSError) as error:
            found.append({"file": path.name, "problem": str(error)})
    return found


def versions(checkout: Checkout) -> str:
    installed = [f"{name}=={version}" for name, version in sorted(checkout.installed().items())]
    return "\n".join([f"python=={platform.python_version()}", *installed]) + "\n"


def tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - LOG_BYTES))
        return file.read(LOG_BYTES).decode("utf-8", "replace")
