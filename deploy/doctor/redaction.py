"""Removes secrets from texts, known ones by value and others by their form, and the names of user and machine."""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.configuration import EDGE
from deploy.doctor.checkout import Checkout
from deploy.doctor.private_files import private

HIDDEN = "[redacted]"
LEAST = 6  # characters: shorter values would be replaced inside ordinary words
MAX_LINE = 400  # a longer one may carry data of a request
# The environment variables whose values explain a problem and hold no secret. All others are listed by name.
SHOWN_VARIABLES = frozenset(
    {
        "PATH",
        "PYTHON",
        "PYTHONPATH",
        "PYTHONDONTWRITEBYTECODE",
        "VIRTUAL_ENV",
        "LANG",
        "LC_ALL",
        "TZ",
        "TERM",
        "SHELL",
        "TMPDIR",
        "COLUMNS",
        "NO_COLOR",
        "CUDA_VISIBLE_DEVICES",
        "NVIDIA_VISIBLE_DEVICES",
        "NVIDIA_DRIVER_CAPABILITIES",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "MALLOC_MMAP_THRESHOLD_",
        "MALLOC_TRIM_THRESHOLD_",
        "HF_HUB_OFFLINE",
        "BUNDLE_RUN",
        "EDGE_PORT",
    }
)
SENSITIVE = (
    r"[\w.-]*(?:api[_-]?key|access[_-]?key|private[_-]?key|token|secret|passw(?:or)?d|passphrase|keystore_pass"
    r"|credentials?|cookie|\bkey)"
)
VALUE = r"""(?:"[^"\n]*"|'[^'\n]*'|[^\s,;&}\])"']+)"""
PATTERNS = (
    # A tail of a log may begin or end inside a PEM block.
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"\A[A-Za-z0-9+/=\s]*-----END [A-Z ]+-----"), HIDDEN),
    (
        re.compile(rf"(?i)(authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic|digest|token)\s+)?{VALUE}"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?<=://)[^/\s\"']+@"), f"{HIDDEN}@"),
    # Parameters of a request are its content.
    (re.compile(r"((?:https?://|(?:GET|POST|PUT|DELETE|PATCH) /)[^\s?\"']*)\?[^\s\"']+"), rf"\1?{HIDDEN}"),
    (re.compile(rf"(?i)({SENSITIVE}[\"']?\s*[:=]\s*){VALUE}"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(?:hf_|gh[opsru]_|github_pat_|glpat-|sk-|xox[abprs]-|AKIA|eyJ)[A-Za-z0-9._-]{12,}"), HIDDEN),
    # Base64, which is data or a key. A path has no part as long as 24 characters between two slashes.
    (re.compile(r"(?=[A-Za-z0-9+/_-]*[A-Za-z0-9+_-]{24})[A-Za-z0-9+/_-]{60,}={0,2}"), HIDDEN),
)


@dataclass(frozen=True)
class Redactor:
    """known: secrets by value. names: the name of a folder, a user or a machine → its replacement."""

    known: tuple[str, ...]
    names: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, checkout: Checkout, variables: Mapping[str, str] = os.environ) -> Redactor:
        """The secrets of this checkout's files and of the environment; this user, this machine."""
        hidden = (value for name, value in variables.items() if name not in SHOWN_VARIABLES and is_secret(name))
        values = {value for value in (*in_files(checkout), *hidden) if len(value) >= LEAST}
        return cls(tuple(sorted(values, key=len, reverse=True)), tuple(identity(checkout)))

    def __call__(self, text: str) -> str:
        for value in self.known:
            text = text.replace(value, HIDDEN)
        text = self.anonymous(text)  # before the patterns, which may take a long path for data
        for pattern, replacement in PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def anonymous(self, text: str) -> str:
        """The text without the names of folders, user and machine."""
        for name, replacement in self.names:
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", replacement, text)
        return text

    def log(self, text: str) -> str:
        """The same for a log, whose long lines are cut as well."""
        return "\n".join(line[:MAX_LINE] for line in self(text).splitlines()) + "\n"

    def leaks(self, text: str) -> bool:
        return any(value in text for value in self.known)

    def variables(self, given: Mapping[str, str]) -> str:
        """NAME=value for harmless variables, NAME=[redacted] for all others."""
        lines = (
            f"{name}={self(value) if name in SHOWN_VARIABLES else HIDDEN}" for name, value in sorted(given.items())
        )
        return self.anonymous("\n".join(lines)) + "\n"


def is_secret(name: str) -> bool:
    return re.search(r"(?i)key|token|secret|passw|credential|auth|cookie|private|otlp\w*_headers", name) is not None


def in_files(checkout: Checkout) -> Iterator[str]:
    """The values in files that hold keys: the strings of JSON and YAML files, each line of others."""
    for path in private(checkout):
        text = path.read_text("utf-8", "replace")
        yield from (line.strip() for line in text.splitlines() if "-----" not in line and ":" not in line)
        if path.suffix == ".json" and path.parent.name != EDGE:  # where "key" is mostly the name of a header
            yield from keys_in(text)
        elif path.suffix in (".yaml", ".yml"):
            yield from re.findall(r"\bkey[\"']?\s*:\s*[\"']?([^\s\"'#,}]+)", text)
        yield from re.findall(r"Bearer ([A-Za-z0-9._~+/=-]+)", text)


def keys_in(text: str) -> Iterator[str]:
    """The values under "key", however deep."""
    try:
        pending = [json.loads(text)]
    except ValueError:
        return
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield from (item for name, item in value.items() if name == "key" and isinstance(item, str))
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def identity(checkout: Checkout) -> Iterator[tuple[str, str]]:
    """Longer paths first: the checkout is often below the home folder."""
    yield from unlike_root(((str(checkout.project), "CHECKOUT"), (str(checkout.project.resolve()), "CHECKOUT")))
    home = Path.home()
    yield from unlike_root(((str(home), "~"), (str(home.resolve()), "~")))
    yield from ((name, "USER") for name in users() if name != "root" and len(name) > 1)
    host = socket.gethostname()
    if host and host != "localhost":
        yield host, "HOST"


def unlike_root(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((path, replacement) for path, replacement in dict.fromkeys(pairs) if path != "/")


def users() -> set[str]:
    found = {os.environ[name] for name in ("USER", "LOGNAME", "SUDO_USER") if os.environ.get(name)}
    try:
        found.add(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:  # a container may run under a number that has no name
        return found
    return found
