"""Python, the operating system, cores, memory and disk."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.cgroup import cores, memory_left
from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import Finding, note, ok, problem

GIB = 2**30
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 12)
OLDEST_GLIBC = (2, 28)  # the wheels of torch and onnxruntime are manylinux_2_28
MACHINES = ("x86_64", "aarch64")
DEMO_BYTES = 3 * GIB  # six workers of up to 480 MiB, and TorchServe's 190 MiB
MIN_BYTES = 1 * GIB  # one worker, TorchServe, and room for requests
INSTALLATION_BYTES = 8 * GIB  # as ./scripts/setup asks for
MIN_DISK = 1 * GIB  # archives, their unpacked copies, logs


def python_version(checkout: Checkout) -> Iterator[Finding]:
    text = f"{platform.python_version()} at {sys.executable}"
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        yield ok("Python", text)
    else:
        yield problem("Python", text, "install Python 3.11 or 3.12; PYTHON=/path/to/python ./scripts/setup uses it")


def operating_system(checkout: Checkout) -> Iterator[Finding]:
    library, version = platform.libc_ver()
    name = f"{platform.system()} {platform.release()}, {platform.machine()}, {library or 'unknown C library'} {version}"
    if platform.system() != "Linux":
        yield problem("OS", name, "the server runs on Linux; elsewhere, run `docker compose up`")
    elif platform.machine() not in MACHINES:
        yield problem("OS", name, f"torch has wheels for {' and '.join(MACHINES)}")
    elif library != "glibc":
        yield problem("OS", name, "torch has wheels for glibc; on musl (Alpine), run `docker compose up`")
    elif tuple(int(part) for part in version.split(".")[:2]) < OLDEST_GLIBC:
        yield problem("OS", name, "torch's wheels need glibc 2.28 or newer: Debian 10, Ubuntu 20.04, RHEL 8")
    else:
        yield ok("OS", name.strip())


def processors(checkout: Checkout) -> Iterator[Finding]:
    usable, present = cores(), os.cpu_count() or 1
    yield ok("cores", f"{usable}" if usable == present else f"{usable} of {present}, by affinity or container limit")


def memory(checkout: Checkout) -> Iterator[Finding]:
    total, available = meminfo()
    left = min(available, memory_left())
    limited = "" if left == available else ", by the container's limit"
    text = f"{left / GIB:.1f} GiB available of {total / GIB:.1f} GiB{limited}"
    if left < MIN_BYTES:
        yield problem("memory", text, "one model needs about 1 GiB: end other programs, or use a larger machine")
    elif left < DEMO_BYTES:
        yield note("memory", f"{text}; all demo models together need 3 GiB", "`./bundle serve imagenet` serves one")
    else:
        yield ok("memory", text)


def meminfo() -> tuple[int, int]:
    """(total, available) bytes of the machine."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text("ascii").splitlines())
    sizes = {fields[0].rstrip(":"): int(fields[1]) * 1024 for fields in lines}
    return sizes["MemTotal"], sizes["MemAvailable"]


def disk(checkout: Checkout) -> Iterator[Finding]:
    free = shutil.disk_usage(checkout.project).free
    needed = MIN_DISK if checkout.python.exists() else INSTALLATION_BYTES
    text = f"{free / GIB:.1f} GiB free"
    if free < needed:
        yield problem("disk", text, f"free some space: {needed // GIB} GiB are needed here")
    else:
        yield ok("disk", text)
