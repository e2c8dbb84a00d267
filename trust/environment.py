"""The bill of materials of what is installed: every distribution of this Python, with its licence and its hashes, the
Java that TorchServe brings, and Debian's packages."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from trust import bill_of_materials, debian, java

PROJECT = Path(__file__).resolve().parent.parent
LOCKS = PROJECT / "requirements"
MAX_NAME = 100  # characters of a licence's name; longer ones are its text
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
CLASSIFIER = "License :: "


def bill() -> str:
    """The bill of the environment that runs this, as CycloneDX's JSON."""
    found = {str(canonicalize_name(each.name)): each for each in distributions() if each.name}
    hashes = locked(LOCKS)
    parts = {name: component(name, each, hashes.get((name, each.version), {})) for name, each in found.items()}
    refs = {name: str(part.bom_ref.value) for name, part in parts.items()}
    needs = {refs[name]: sorted({refs[other] for other in required(each, refs)}) for name, each in found.items()}
    subject = Component(
        type=ComponentType.APPLICATION,
        name="torchserve-bundle",
        bom_ref="environment",
        properties=bill_of_materials.described(
            {"python": platform.python_version(), "platform": platform.platform(), "machine": platform.machine()}
        ),
    )
    inside = {str(part.bom_ref.value): part for each in found.values() for part in java.parts(each)}
    return bill_of_materials.write(subject, [*parts.values(), *inside.values(), *debian.packages()], needs)


def component(name: str, found: Distribution, hashes: Mapping[str, str]) -> Component:
    """hashes: those that a lock permits, each with the lock's file name.

    A lock has one for each file of the published version; which of them was installed is not recorded anywhere.
    """
    return bill_of_materials.package(
        name,
        found.version,
        licenses=list(licences(found)),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=value) for value in hashes],
        properties=[
            Property(name=f"{bill_of_materials.PREFIX}hashes", value=f"any of those in requirements/{lock}")
            for lock in sorted(set(hashes.values()))
        ],
    )


def licences(found: Distribution) -> Iterator[License]:
    """The licences that a distribution declares: an SPDX expression, else its classifiers, else a name."""
    make, metadata = LicenseFactory(), found.metadata
    expression, name = ("".join(metadata.get_all(key) or []).strip() for key in ("License-Expression", "License"))
    if expression:
        yield make.make_from_string(expression)
        return
    classified = [
        line.split(" :: ")[-1] for line in metadata.get_all("Classifier") or [] if line.startswith(CLASSIFIER)
    ]
    if classified:
        yield from (DisjunctiveLicense(name=each) for each in sorted(set(classified)))
    elif name and len(name) <= MAX_NAME and "\n" not in name:
        yield make.make_from_string(name)


def required(found: Distribution, installed: Mapping[str, str]) -> Iterator[str]:
    """The installed distributions that one needs on this machine, without its extras."""
    for text in found.requires or []:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # of a distribution older than the standard
        name = canonicalize_name(requirement.name)
        if name in installed and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            yield name


def locked(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    """By name and version, the SHA-256 that a lock permits, each with the lock's file name."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for lock in sorted(folder.glob("*.lock")):
        pinned: dict[str, str] = {}
        for line in lock.read_text(encoding="utf-8").splitlines():
            pin = PIN.match(line)
            if pin:
                pinned = found.setdefault((canonicalize_name(pin[1]), pin[2]), {})
            for value in HASH.findall(line):
                pinned.setdefault(value, lock.name)
    return found
