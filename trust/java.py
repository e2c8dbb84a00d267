"""The Java that TorchServe brings: its JDK, its jar, and the libraries inside whose versions the jar records."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

from cyclonedx.model.component import Component, ComponentType
from packageurl import PackageURL

from trust import bill_of_materials
from trust.signature import sha256

# In the META-INF of a jar that others were unpacked into: what Apache's and Netty's builds leave there.
COORDINATES = re.compile(r" (\S+):(\S+):jar:(\S+)$", re.MULTILINE)
NETTY = re.compile(r"^(netty-[a-z0-9-]+)\.version=(\S+)$", re.MULTILINE)
RELEASE = re.compile(r'^(\w+)="(.*)"$', re.MULTILINE)
PARTIAL = "only libraries whose versions the jar records are listed; its build removed the records of the others"


def parts(distribution: Distribution) -> Iterator[Component]:
    """The JDKs and jars among a Python distribution's files, and the libraries inside them."""
    for file in distribution.files or []:
        path = Path(str(distribution.locate_file(file)))
        if file.name == "release" and "java" in file.parent.name and path.is_file():
            yield from runtime(path)
        elif file.suffix == ".jar" and zipfile.is_zipfile(path):
            inside = list(libraries(path))
            note = PARTIAL if inside else None
            yield bill_of_materials.file(file.name, sha256(path), of=distribution.name, libraries=note)
            yield from inside


def runtime(release: Path) -> Iterator[Component]:
    """The JDK that a file `release` describes."""
    found = dict(RELEASE.findall(release.read_text(encoding="utf-8")))
    version = found.get("JAVA_RUNTIME_VERSION") or found.get("JAVA_VERSION")
    if version:
        address = PackageURL("generic", name="openjdk", version=version)
        properties = {"implementor": found.get("IMPLEMENTOR")}
        yield Component(
            type=ComponentType.PLATFORM,
            name="openjdk",
            version=version,
            purl=address,
            bom_ref=str(address),
            properties=bill_of_materials.described(properties),
        )


def libraries(jar: Path) -> Iterator[Component]:
    with zipfile.ZipFile(jar) as content:
        names = set(content.namelist())
        found = set()
        if "META-INF/DEPENDENCIES" in names:
            found |= set(COORDINATES.findall(content.read("META-INF/DEPENDENCIES").decode()))
        if "META-INF/io.netty.versions.properties" in names:
            versions = content.read("META-INF/io.netty.versions.properties").decode()
            found |= {("io.netty", name, version) for name, version in NETTY.findall(versions)}
    for group, name, version in sorted(found):
        address = PackageURL("maven", namespace=group, name=name, version=version)
        yield Component(
            type=ComponentType.LIBRARY,
            group=group,
            name=name,
            version=version,
            purl=address,
            bom_ref=str(address),
            properties=bill_of_materials.described({"inside": jar.name}),
        )
