"""Software bills of materials in CycloneDX's JSON, version 1.6: https://cyclonedx.org/docs/1.6/json"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from cyclonedx.contrib.this.builders import this_component
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

PREFIX = "bundle:"  # of the names of our properties


def write(
    subject: Component,
    parts: Iterable[Component],
    needs: Mapping[str, Iterable[str]],
    serial: UUID | None = None,
    model_card: Mapping[str, Any] | None = None,
) -> str:
    """The bill of a subject and its parts.

    needs: by bom-ref, the bom-refs of what each part needs; the subject needs whatever no part does. serial: makes the
    bill the same every time, so it has no timestamp either. model_card: of the subject.
    """
    bom = Bom(components=parts, serial_number=serial)
    bom.metadata.component = subject
    bom.metadata.tools.components.add(this_component())
    by_ref = {str(part.bom_ref.value): part for part in bom.components}
    needed = {ref for part in needs.values() for ref in part}
    bom.register_dependency(subject, [part for ref, part in by_ref.items() if ref not in needed])
    for ref, refs in needs.items():
        bom.register_dependency(by_ref[ref], [by_ref[each] for each in refs])
    values = json.loads(JsonV1Dot6(bom).output_as_string())
    if serial:
        del values["metadata"]["timestamp"]
    if model_card:  # which the library cannot express yet
        values["metadata"]["component"]["modelCard"] = model_card
    return json.dumps(values, indent=2)


def file(name: str, sha256: str, **properties: Any) -> Component:
    """A file inside the subject."""
    return Component(
        type=ComponentType.FILE,
        name=name,
        bom_ref=f"file:{name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
        properties=described(properties),
    )


def package(name: str, version: str | None, **fields: Any) -> Component:
    """A package for Python, by its canonical name."""
    address = PackageURL("pypi", name=name, version=version)
    return Component(
        type=ComponentType.LIBRARY, name=name, version=version, purl=address, bom_ref=str(address), **fields
    )


def described(values: Mapping[str, Any]) -> list[Property]:
    """Properties with our prefix; those without a value are left out."""
    return [
        Property(name=f"{PREFIX}{key}", value=value if isinstance(value, str) else json.dumps(value))
        for key, value in values.items()
        if value not in (None, "", [], {})
    ]
