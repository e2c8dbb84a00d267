"""The Debian packages of this machine, or of the image that this runs in, as dpkg's database has them."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator

from cyclonedx.model.component import Component, ComponentType
from packageurl import PackageURL

FIELDS = ("db:Status-Status", "Package", "Version", "Architecture", "source:Package", "source:Version")
FORMAT = "\\t".join(f"${{{field}}}" for field in FIELDS) + "\\n"


def packages() -> Iterator[Component]:
    """The installed packages; none without dpkg. Each names its source package, which security trackers go by."""
    program = shutil.which("dpkg-query")
    if program is None:
        return
    listed = subprocess.run([program, "--show", f"--showformat={FORMAT}"], capture_output=True, check=True)
    release = platform.freedesktop_os_release()
    system = release["ID"]
    distribution = f"{system}-{release.get('VERSION_ID', '')}".rstrip("-")
    for line in listed.stdout.decode().splitlines():
        status, name, version, architecture, source, source_version = line.split("\t")
        if status != "installed":
            continue
        qualifiers = {"arch": architecture, "distro": distribution}
        if (source, source_version) != (name, version):
            qualifiers["upstream"] = f"{source}@{source_version}"
        address = PackageURL("deb", namespace=system, name=name, version=version, qualifiers=qualifiers)
        yield Component(
            type=ComponentType.LIBRARY, name=name, version=version, purl=address, bom_ref=f"deb:{name}:{architecture}"
        )
