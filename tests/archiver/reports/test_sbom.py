"""`archiver sbom`: valid by the schema, and what the archive really holds."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from typer.testing import CliRunner

from archiver.__main__ import app
from tests.archiver.reports.test_inspect import rewritten

RUNNER = CliRunner()


def bill_of(path: Path) -> dict[str, Any]:
    done = RUNNER.invoke(app, ["sbom", str(path)])
    assert done.exit_code == 0, done.output
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(done.stdout) is None
    return json.loads(done.stdout)


def properties(values: dict[str, Any]) -> dict[str, str]:
    return {each["name"].removeprefix("bundle:"): each["value"] for each in values["properties"]}


def test_our_archive(archive: Path, tmp_path: Path) -> None:
    bill = bill_of(archive)
    model = bill["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "model", "1.0")
    assert model["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(archive.read_bytes()).hexdigest()}]
    card = model["modelCard"]
    assert card["modelParameters"]["task"] == "image-classification"
    assert card["modelParameters"]["modelArchitecture"] == "torchvision.models.resnet18"
    assert {"format": "image/jpeg"} in card["modelParameters"]["inputs"]
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [{"type": "top1", "value": "0.75"}]
    assert properties(card)["preprocessing.resize"] == "32"
    files = {each["name"]: each for each in bill["components"]}
    with zipfile.ZipFile(archive) as file:
        assert {name: each["hashes"][0]["content"] for name, each in files.items()} == {
            name: hashlib.sha256(file.read(name)).hexdigest() for name in file.namelist()
        }
    roles = {name: properties(each)["role"] for name, each in files.items()}
    assert roles["artifact/weights.safetensors"] == "weights"
    assert roles["artifact/sample.png"] == "sample"
    assert roles["entry.py"] == "code"
    assert roles["model-config.yaml"] == "configuration"
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    assert sorted(needs["model"]) == sorted(each["bom-ref"] for each in bill["components"])


def test_the_same_archive_has_the_same_bill(archive: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        done = RUNNER.invoke(app, ["sbom", str(archive), "--output", str(tmp_path / name)])
        assert (done.exit_code, done.stdout) == (0, "")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_packages_that_an_archive_asks_for(stock: Path) -> None:
    lines = [
        "numpy==2.1.0",
        "Pillow>=11  # decodes",
        "# a comment",
        "",
        "uvicorn[standard]===0.30.0; python_version > '3.8' --hash=sha256:00",
        "-r more.txt",
        "git+https://example.org/x.git",
        "numpy==2.1.0",
    ]
    bill = bill_of(rewritten(stock, {"requirements.txt": "\n".join(lines).encode()}))
    packages = {each["name"]: each for each in bill["components"] if each["type"] == "library"}
    assert {name: each.get("purl") for name, each in packages.items()} == {
        "numpy": "pkg:pypi/numpy@2.1.0",
        "pillow": "pkg:pypi/pillow",
        "uvicorn": "pkg:pypi/uvicorn@0.30.0",
    }
    assert properties(packages["pillow"])["requirement"] == "Pillow>=11"
    refused = json.loads(properties(bill["metadata"]["component"])["requirements"])
    assert refused == ["-r more.txt", "git+https://example.org/x.git"]
    assert "modelCard" not in bill["metadata"]["component"]
    roles = {each["name"]: properties(each)["role"] for each in bill["components"] if each["type"] == "file"}
    assert roles["weights.pt"] == "weights"


def test_an_archive_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.mar").write_bytes(b"no archive")
    done = RUNNER.invoke(app, ["sbom", str(tmp_path / "x.mar")])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_of_the_environment() -> None:
    done = RUNNER.invoke(app, ["sbom"])
    assert done.exit_code == 0
    assert "torchserve" in {each["name"] for each in json.loads(done.stdout)["components"]}
