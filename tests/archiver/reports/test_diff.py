"""`archiver diff`, compared with changes that were made on purpose."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from typer.testing import CliRunner

from archiver.__main__ import app
from archiver.archive import build
from archiver.package import resolve
from tests.archiver.reports.test_inspect import rewritten
from tests.archiver.sample_project import SampleProject

RUNNER = CliRunner()
WEIGHTS = {
    "same": torch.arange(6.0).reshape(2, 3),
    "moved": torch.tensor([1.0, -2.0, 3.5], dtype=torch.float64),
    "half": torch.tensor([0.5, 0.25], dtype=torch.bfloat16),
    "retyped": torch.tensor([1.0, 0.1]),
    "reshaped": torch.zeros(4),
    "gone": torch.ones(2, dtype=torch.int64),
    "flags": torch.tensor([True, False]),
    "odd": torch.tensor([float("nan"), float("inf"), 1.0]),
    "unknown": torch.tensor([1.0, 2.0]),
    "scalar": torch.tensor(3),
    "empty": torch.zeros(0, 5),
}
CHANGED = {
    **{name: value for name, value in WEIGHTS.items() if name != "gone"},
    "moved": torch.tensor([1.0, -2.25, 3.5], dtype=torch.float64),
    "half": torch.tensor([0.5, 0.75], dtype=torch.bfloat16),
    "retyped": torch.tensor([1.0, 0.1]).half(),
    "reshaped": torch.zeros(2, 2),
    "flags": torch.tensor([True, True]),
    "odd": torch.tensor([float("nan"), float("inf"), 1.5]),
    "unknown": torch.tensor([1.0, float("nan")]),
    "scalar": torch.tensor(-3),
    "new": torch.zeros(1, 2, 3, dtype=torch.float16),
}

Make = Callable[..., Path]


@pytest.fixture
def make(project: SampleProject) -> Make:
    """Builds the project's archive and gives it a name of its own."""

    def build_as(name: str) -> Path:
        path = build(resolve(project.spec_file, project.artifacts), project.handlers, project.store).path
        return path.rename(path.with_name(f"{name}.mar"))

    return build_as


def diff(*paths: Path, status: int) -> dict[str, Any]:
    done = RUNNER.invoke(app, ["diff", *map(str, paths), "--json"])
    assert done.exit_code == status, done.output
    return json.loads(done.stdout)


def text(*paths: Path, status: int) -> str:
    done = RUNNER.invoke(app, ["diff", *map(str, paths)])
    assert done.exit_code == status, done.output
    return done.stdout


def test_the_same(make: Make, project: SampleProject) -> None:
    first, second = make("first"), make("second")
    found = diff(first, second, status=0)
    assert found["same"]
    assert found["sha256"]["a"] == found["sha256"]["b"]
    assert text(first, second, status=0) == "the same files\n"
    packed = rewritten(first, {})
    assert packed.read_bytes() != first.read_bytes()
    assert text(first, packed, status=0) == "the same files; the archives were packed differently\n"


def test_files_and_fields(make: Make, project: SampleProject) -> None:
    before = make("before")
    project.spec(version="1.1", labels=["dark", "bright", "blue"], options={"top_k": 2}, batch={"size": 8})
    (project.handlers / "vision" / "extra.py").write_text("VALUE = 1\n")
    (project.handlers / "__init__.py").write_text("import handlers.vision.extra\n")
    after = make("after")
    found = diff(before, after, status=1)
    assert [member["name"] for member in found["members"]["added"]] == ["handlers/vision/extra.py"]
    assert found["members"]["removed"] == []
    changed = {member["name"]: member["size"] for member in found["members"]["changed"]}
    assert changed["handlers/__init__.py"] == {"a": 0, "b": 29}
    assert "artifact/weights.safetensors" not in changed
    card = found["fields"]["card.json"]["changed"]
    assert card["version"] == {"a": "1.0", "b": "1.1"}
    assert card["labels[2]"] == {"a": "red", "b": "blue"}
    assert card["batch.size"] == {"a": "auto", "b": 8}
    assert found["fields"]["model-config.yaml"]["changed"]["handler.options.top_k"] == {"a": 5, "b": 2}
    assert found["fields"]["MAR-INF/MANIFEST.json"]["changed"] == {"model.modelVersion": {"a": "1.0", "b": "1.1"}}
    assert found["tensors"] is None
    back = diff(after, before, status=1)
    assert [member["name"] for member in back["members"]["removed"]] == ["handlers/vision/extra.py"]
    lines = text(before, after, status=1)
    assert "  + handlers/vision/extra.py  10 bytes\n" in lines
    assert "  ~ labels[2]: red → blue\n" in lines


def test_tensors(make: Make, project: SampleProject) -> None:
    weights = project.artifact / "weights.safetensors"
    weights.write_bytes(save(WEIGHTS))
    before = make("before")
    weights.write_bytes(save(CHANGED))
    after = make("after")
    found = diff(before, after, status=1)["tensors"]
    assert found["added"] == {"new": {"dtype": "F16", "shape": [1, 2, 3]}}
    assert found["removed"] == {"gone": {"dtype": "I64", "shape": [2]}}
    assert found["reshaped"] == {
        "reshaped": {"a": {"dtype": "F32", "shape": [4]}, "b": {"dtype": "F32", "shape": [2, 2]}}
    }
    most = {name: change["max_abs_difference"] for name, change in found["changed"].items()}
    retyped = abs(torch.tensor(0.1).double() - torch.tensor(0.1).half().double()).item()
    assert most == {
        "moved": 0.25,
        "half": 0.5,
        "flags": 1.0,
        "odd": 0.5,
        "unknown": "NaN",
        "scalar": 6.0,
        "retyped": retyped,
    }
    assert found["unchanged"] == 2
    lines = text(before, after, status=1)
    for line in (
        "tensors (2 unchanged)",
        "+ new  F16 [1, 2, 3]",
        "- gone  I64 [2]",
        "~ reshaped  F32 [4] → F32 [2, 2]",
        "~ moved  F64 [3]  max abs difference 0.25",
        "~ retyped  F32 [2] → F16  max abs difference",
    ):
        assert f"  {line}" in lines or line in lines.splitlines(), line


def test_tensors_of_large_files_and_in_another_file(make: Make, tmp_path: Path) -> None:
    """More than one chunk; and a file of weights under another name holds the same tensors."""
    values = torch.zeros((1 << 20) + 5)
    before = with_files(tmp_path / "a.mar", {"one.safetensors": save({"x": values, "y": torch.ones(2)})})
    values[-1] = 3.0
    after = with_files(
        tmp_path / "b.mar", {"x.safetensors": save({"x": values}), "y.safetensors": save({"y": torch.ones(2)})}
    )
    found = diff(before, after, status=1)
    assert found["tensors"]["changed"]["x"]["max_abs_difference"] == 3.0
    assert (found["tensors"]["unchanged"], found["tensors"]["added"], found["tensors"]["removed"]) == (1, {}, {})


def test_the_same_tensors_in_another_file(tmp_path: Path) -> None:
    before, after = (
        with_files(tmp_path / f"{name}.mar", {f"{name}.safetensors": save({"x": torch.ones(2)})}) for name in "ab"
    )
    found = diff(before, after, status=1)["tensors"]
    assert found == {"added": {}, "removed": {}, "reshaped": {}, "changed": {}, "unchanged": 1}


def with_files(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", '{"model": {"modelName": "x", "handler": "x.py"}}')
        for name, content in files.items():
            file.writestr(name, content)
    return path


def test_trouble_is_one_line_and_status_2(make: Make, tmp_path: Path) -> None:
    whole, broken = make("whole"), tmp_path / "broken.mar"
    broken.write_bytes(whole.read_bytes()[:100])
    lying = with_files(tmp_path / "lying.mar", {"w.safetensors": b"\xff" * 20})
    for pair in ((broken, whole), (whole, broken), (whole, tmp_path / "missing.mar"), (whole, lying)):
        done = RUNNER.invoke(app, ["diff", *map(str, pair)])
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.output
    assert RUNNER.invoke(app, ["diff", str(whole)]).exit_code == 2
