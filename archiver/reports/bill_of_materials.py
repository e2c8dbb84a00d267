"""The bill of materials of an archive: its files, its model card, and the packages that it requires."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.component import Component, ComponentType
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from archiver.mar import Mar
from archiver.reports.contents import Contents, mapping
from archiver.reports.json_values import flat
from trust import bill_of_materials

GRAPH = ".onnx"
EXACT = ("==", "===")


def bill(contents: Contents) -> str:
    """The bill as CycloneDX JSON. The same archive always gives the same one, with a serial number from its SHA-256."""
    invalid: list[str] = []
    parts = [
        *(
            bill_of_materials.file(member.name, member.sha256, size=member.size, role=role(member.name, contents))
            for member in contents.members
        ),
        *packages(contents, invalid),
    ]
    subject = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=contents.name,
        version=contents.version,
        bom_ref="model",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=contents.sha256)],
        properties=bill_of_materials.described(
            {
                "file": contents.path.name,
                "size": contents.size,
                "format": contents.card.get("format"),
                "backend": contents.card.get("backend"),
                "provenance": contents.provenance,
                "requirements": invalid,
            }
        ),
    )
    serial = uuid5(NAMESPACE_URL, f"sha256:{contents.sha256}")
    return bill_of_materials.write(subject, parts, {}, serial, model_card(contents))


def role(name: str, contents: Contents) -> str:
    """The purpose of a file: weights, graph, code, sample or configuration."""
    weights = contents.artifact.get("weights") or contents.model.get("serializedFile")
    inside = name.removeprefix("artifact/")
    if weights and (inside == weights or inside.startswith(f"{weights}/")):
        return "weights"
    if name.endswith(GRAPH):
        return "graph"
    if name.endswith(".py"):
        return "code"
    return "sample" if inside == contents.artifact.get("sample") else "configuration"


def model_card(contents: Contents) -> dict[str, Any]:
    """The model card as CycloneDX's `modelCard`; empty for an archive without one."""
    card, architecture = contents.card, mapping(contents.artifact.get("architecture"))
    if not card:
        return {}
    requests = mapping(card.get("input"))
    parameters = {
        "task": card.get("task"),
        "modelArchitecture": architecture.get("factory"),
        "inputs": formats(requests.get("content_types")),
        "outputs": formats(requests.get("accept")),
    }
    scores = [
        {"type": name, "value": str(value)}
        for name, value in flat(mapping(card.get("metrics")))
        if name and isinstance(value, int | float)
    ]
    return {
        "modelParameters": {key: value for key, value in parameters.items() if value},
        **({"quantitativeAnalysis": {"performanceMetrics": scores}} if scores else {}),
        "properties": [
            {"name": f"{bill_of_materials.PREFIX}{key}", "value": str(value)}
            for section in ("training", "preprocessing")
            for key, value in flat(mapping(card.get(section)), section)
        ],
    }


def formats(names: Any) -> list[dict[str, str]]:
    return [{"format": str(name)} for name in names] if isinstance(names, list) else []


def packages(contents: Contents, invalid: list[str]) -> Iterator[Component]:
    """The packages in the archive's requirements file, which only other archivers pack.

    TorchServe installs them when it loads an archive if its configuration allows it; this project's does not.
    invalid: the lines that are not a package's requirement are appended to it.
    """
    name = contents.model.get("requirementsFile")
    if not isinstance(name, str) or name not in [member.name for member in contents.members]:
        return
    with Mar(contents.path, required=[name]) as mar:
        lines = mar.read(name).decode("utf-8", "replace").splitlines()
    seen = set[str]()
    for line in (line.partition(" #")[0].strip() for line in lines):
        if not line or line.startswith("#"):
            continue
        try:
            requirement = Requirement(line.split(" --hash")[0].rstrip("\\ "))
        except InvalidRequirement:
            invalid.append(line)
            continue
        exact = [each.version for each in requirement.specifier if each.operator in EXACT]
        found = bill_of_materials.package(
            canonicalize_name(requirement.name),
            exact[0] if exact else None,
            properties=bill_of_materials.described({"requirement": str(requirement)}),
        )
        if str(found.bom_ref.value) not in seen:
            seen.add(str(found.bom_ref.value))
            yield found
