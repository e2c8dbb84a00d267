"""The bill of materials of this environment, against the schema, the installed packages and the locks."""

import json
import re
import shutil
from importlib.metadata import distribution, distributions
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from trust import environment


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    text = environment.bill()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


@pytest.fixture(scope="module")
def parts(bill: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {part["name"]: part for part in bill["components"]}


def test_every_distribution(parts: dict[str, dict[str, Any]]) -> None:
    versions = {canonicalize_name(each.name): each.version for each in distributions()}
    assert len(versions) > 100
    assert {name: part["version"] for name, part in parts.items()} == versions
    assert parts["torch"]["purl"] == f"pkg:pypi/torch@{distribution('torch').version}"


def test_hashes_are_those_of_the_lock(parts: dict[str, dict[str, Any]]) -> None:
    lock = (environment.LOCKS / "serve.lock").read_text()
    block = re.search(r"^orjson==(\S+) \\\n((?:    --hash=sha256:\w+(?: \\)?\n)+)", lock, re.MULTILINE)
    assert block
    assert parts["orjson"]["version"] == block[1]
    assert {each["content"] for each in parts["orjson"]["hashes"]} == set(re.findall(r"sha256:(\w+)", block[2]))
    assert {each["alg"] for each in parts["orjson"]["hashes"]} == {"SHA-256"}
    pinned = {name for name, part in parts.items() if "hashes" in part}
    assert pinned > {"torch", "torchserve", "transformers", "cryptography"}


def test_licences(parts: dict[str, dict[str, Any]]) -> None:
    assert parts["cryptography"]["licenses"] == [{"expression": "Apache-2.0 OR BSD-3-Clause"}]
    without = [name for name, part in parts.items() if "licenses" not in part]
    assert len(without) < 0.1 * len(parts), without


def test_what_needs_what(bill: dict[str, Any], parts: dict[str, dict[str, Any]]) -> None:
    needs = {each["ref"]: set(each.get("dependsOn", [])) for each in bill["dependencies"]}
    assert parts["cffi"]["bom-ref"] in needs[parts["cryptography"]["bom-ref"]]
    assert parts["pytest"]["bom-ref"] not in needs[parts["numpy"]["bom-ref"]]  # of an extra
    assert needs["environment"]


def test_a_version_that_no_lock_has(tmp_path: Path) -> None:
    shutil.copyfile(environment.LOCKS / "client.lock", tmp_path / "client.lock")
    found = environment.locked(tmp_path)
    assert ("requests", distribution("requests").version) in found
    assert ("requests", "0.0.1") not in found
    assert set(found["requests", distribution("requests").version].values()) == {"client.lock"}
