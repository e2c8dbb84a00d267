"""`archiver inspect` on our archives, on torch-model-archiver's and on broken ones."""

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from archiver.__main__ import app
from tests.archiver.sample_project import LABELS, SampleProject
from trust import signature
from trust.keys import MAX_FILE, PrivateKey

RUNNER = CliRunner()


def as_json(*arguments: str | Path, status: int = 0) -> dict[str, Any]:
    done = RUNNER.invoke(app, ["inspect", *map(str, arguments), "--json"])
    assert done.exit_code == status, done.output
    return json.loads(done.stdout)


def test_our_archive(archive: Path, project: SampleProject) -> None:
    found = as_json(archive)
    assert found["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert found["size"] == archive.stat().st_size
    with zipfile.ZipFile(archive) as file:
        members = [
            {"name": name, "size": len(file.read(name)), "sha256": hashlib.sha256(file.read(name)).hexdigest()}
            for name in sorted(file.namelist())
        ]
        assert found["card"] == json.loads(file.read("card.json"))
    assert found["members"] == members
    assert (found["name"], found["version"], found["problems"]) == ("model", "1.0", [])
    assert found["signature"] == {"key": "", "verified": None, "problem": ""}
    assert found["provenance"]["scores"] == {"top1": 0.75}
    assert found["provenance"]["versions"]["torch"] == "2.11.0"
    digests = {
        "spec": hashlib.sha256(project.spec_file.read_bytes()).hexdigest(),
        "artifact": hashlib.sha256((project.artifact / "artifact.json").read_bytes()).hexdigest(),
    }
    assert found["provenance"]["sha256"] == digests
    spec = found["spec"]
    assert (spec["labels"], spec["backend"], spec["queue"], spec["threads"]) == (LABELS, "torch", "auto", "auto")
    assert spec["timeouts"] == {"response_s": 30, "startup_s": 600}
    assert spec["preprocessing"] == {"resize": 32, "crop": None}


def test_the_tree(archive: Path) -> None:
    done = RUNNER.invoke(app, ["inspect", str(archive)])
    assert done.exit_code == 0
    for line in (
        "model.mar  model 1.0  0.0 MB",
        f"sha256 {hashlib.sha256(archive.read_bytes()).hexdigest()}",
        "not signed",
        'labels: ["dark", "bright", "red"]',
        "top1: 0.75",
        f"entry.py  {(archive.parents[1] / 'handlers' / 'entry.py').stat().st_size}",
        "vision/",
    ):
        assert line in done.stdout, line


def test_an_archive_of_torchserve_s_archiver(stock: Path) -> None:
    found = as_json(stock)
    assert (found["name"], found["version"], found["card"]) == ("alien", "2.0", None)
    assert found["manifest"]["model"]["handler"] == "handler.py"
    assert found["provenance"]["built with"] == "torch-model-archiver"
    assert "weights.pt" in [member["name"] for member in found["members"]]
    done = RUNNER.invoke(app, ["inspect", str(stock)])
    assert done.exit_code == 0
    assert "no model card" in done.stdout
    assert "requirementsFile: requirements.txt" in done.stdout


def test_an_archive_that_contradicts_its_card(archive: Path) -> None:
    altered = rewritten(archive, {"handlers/vision/image_classification.py": b"import os\n"})
    found = as_json(altered, status=1)
    assert [problem.partition(":")[0] for problem in found["problems"]] == ["handlers"]
    done = RUNNER.invoke(app, ["inspect", str(altered)])
    assert (done.exit_code, "wrong: handlers: SHA-256 is" in done.stdout) == (1, True)


@pytest.mark.parametrize(
    "content",
    [b'{"name": "x\\u001b[2Jy", "provenance": [], "versions": 7}', b"[]", b"no json", b'{"batch": NaN}', b"{}"],
)
def test_a_card_that_is_none(archive: Path, content: bytes) -> None:
    altered = rewritten(archive, {"card.json": content})
    assert as_json(altered, status=1)["problems"]
    done = RUNNER.invoke(app, ["inspect", str(altered)])
    assert done.exit_code == 1
    assert "\x1b[2J" not in done.stdout


def rewritten(archive: Path, changes: dict[str, bytes]) -> Path:
    """A copy with other files in it."""
    altered = archive.with_name("altered.mar")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(altered, "w") as target:
        for name in source.namelist():
            target.writestr(name, changes.get(name, source.read(name)))
    return altered


def test_what_cannot_be_read_is_one_line(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    empty, cut, flipped, folder = (tmp_path / f"{name}.mar" for name in ("empty", "cut", "flipped", "folder"))
    empty.write_bytes(b"")
    cut.write_bytes(whole[: len(whole) // 2])
    position = whole.index(b"class ImageClassification")
    flipped.write_bytes(whole[:position] + b"C" + whole[position + 1 :])
    folder.mkdir()
    plain = tmp_path / "plain.mar"
    with zipfile.ZipFile(plain, "w") as file:
        file.writestr("readme.txt", "no archive of TorchServe's")
    escaping = tmp_path / "escaping.mar"
    with zipfile.ZipFile(escaping, "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", '{"model": {"modelName": "x", "handler": "x"}}')
        file.writestr("../outside.py", "")
    nameless = tmp_path / "nameless.mar"
    with zipfile.ZipFile(nameless, "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", '{"model": []}')
    for path in (empty, cut, flipped, folder, plain, escaping, nameless, tmp_path / "missing.mar"):
        done = RUNNER.invoke(app, ["inspect", str(path)])
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.output
        assert done.stderr.startswith(f"archiver: {path}: ")


def test_signatures(archive: Path, tmp_path: Path) -> None:
    ours, theirs = PrivateKey.generate(), PrivateKey.generate()
    for name, key in (("ours", ours), ("theirs", theirs)):
        key.write(tmp_path / f"{name}.pem", tmp_path / f"{name}.pub")
    assert as_json(archive, "--key", tmp_path / "ours.pub", status=1)["signature"]["problem"].endswith("sig is missing")
    signature.sign(archive, ours)
    assert as_json(archive)["signature"] == {"key": ours.public.fingerprint, "verified": None, "problem": ""}
    assert as_json(archive, "--key", tmp_path / "ours.pub")["signature"]["verified"] is True
    refused = as_json(archive, "--key", tmp_path / "theirs.pub", status=1)["signature"]
    assert (refused["verified"], "which is not trusted" in refused["problem"]) == (False, True)
    signature.path_of(archive).write_bytes(b"nonsense")
    assert "cannot be read" in as_json(archive, status=1)["signature"]["problem"]
    done = RUNNER.invoke(app, ["inspect", str(archive), "--key", str(tmp_path / "missing.pub")])
    assert (done.exit_code, done.stderr) == (1, f"archiver: {tmp_path / 'missing.pub'}: no such file\n")


@pytest.mark.parametrize("kind", ["large", "folder", "pipe", "dangling link", "endless device"])
def test_a_signature_that_cannot_be_read_is_not_taken_for_none(archive: Path, tmp_path: Path, kind: str) -> None:
    path = signature.path_of(archive)
    match kind:
        case "large":
            path.write_bytes(b'{"mediaType": "' + b"x" * MAX_FILE)
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "dangling link":
            path.symlink_to(tmp_path / "nowhere")
        case _:
            path.symlink_to("/dev/zero")
    done = RUNNER.invoke(app, ["inspect", str(archive)])
    [line] = [line for line in done.stdout.splitlines() if "signature" in line]
    assert "signature refused: " in line
    assert ("has more than 1048576 bytes" in line) == (kind == "large")
    assert len(line) < 500
    assert done.exit_code == 1


def test_a_card_of_many_branches_is_shown_in_part(archive: Path, tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(4):
        deep = {f"k{index}": deep for index in range(16)}
    other = tmp_path / "deep.mar"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "card.json":
                card = json.loads(content)
                content = json.dumps({**card, "training": deep, "labels": [1] * 5000}).encode()
            target.writestr(name, content)
    done = RUNNER.invoke(app, ["inspect", str(other)])
    assert len(done.stdout.splitlines()) < 1500
    assert done.stdout.count("wrong: ") <= 101
    assert "wrong: … 4" in done.stdout
    assert len(done.stdout) < 200_000
