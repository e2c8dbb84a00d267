"""The bill of materials of the server's image: valid, and all that its own package managers list."""

import json
import re

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.containers.stack import Stack

IMAGE = "torchserve-bundle/server:0.1.0"
INSTALLED = (
    "from importlib.metadata import distributions as d; print(*(f'{e.name} {e.version}' for e in d()), sep='\\n')"
)


def plain(name: str) -> str:
    """As the index of packages compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_of_the_image_is_in_its_bill(stack: Stack) -> None:
    def run(*arguments: str) -> str:
        return stack.run("docker", "run", "--rm", "--network=none", "--read-only", *arguments)

    text = run(IMAGE, "sbom")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    parts = json.loads(text)["components"]
    found = {
        kind: {
            (plain(part["name"]), part["version"]) for part in parts if part.get("purl", "").startswith(f"pkg:{kind}/")
        }
        for kind in ("pypi", "deb")
    }
    python = run("--entrypoint=python", IMAGE, "-c", INSTALLED)
    debian = run("--entrypoint=dpkg-query", IMAGE, "-W", "-f", "${Package} ${Version}\n")
    for kind, listed in {"pypi": python, "deb": debian}.items():
        names = {(plain(name), version) for name, version in map(str.split, listed.splitlines())}
        assert found[kind] == names
        assert len(names) > 50
