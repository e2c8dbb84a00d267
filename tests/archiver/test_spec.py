import ast
import os
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from archiver import archive, card, mar, spec
from archiver.errors import SpecError
from archiver.inspection import inspect
from archiver.mar import Mar
from archiver.package import SMALL, Device, choose_device, resolve
from archiver.spec import Spec
from tests.archiver.sample_project import SampleProject


@pytest.mark.parametrize("name", ["m", "shapes-detection", "v1.2_a", "A0"])
def test_names_torchserve_takes(name: str) -> None:
    assert Spec.model_validate({"name": name}).name == name


@pytest.mark.parametrize("name", ["", "a/b", "../a", "a..b", ".hidden", "-x", "a b", "ä", "a\n"])
def test_names_torchserve_refuses(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Spec.model_validate({"name": name})


def test_defaults_leave_torchserve_no_choice() -> None:
    read = Spec.model_validate({"name": "m"})
    assert (read.timeouts.response_s, read.timeouts.startup_s) == (30, 600)
    assert (read.workers, read.batch.size, read.batch.delay_ms) == ("auto", "auto", "auto")  # the machine's choice


@pytest.mark.parametrize(
    ("key", "value"), [("size", 0), ("size", 1025), ("size", "4"), ("size", True), ("delay_ms", -1), ("delay_ms", 1.5)]
)
def test_batches_that_cannot_be(key: str, value: object) -> None:
    with pytest.raises(ValueError, match="auto, or a number from"):
        Spec.model_validate({"name": "m", "batch": {key: value}})


@pytest.mark.parametrize("value", ["auto", 0, 1, 16])
def test_threads_are_a_number_or_left_to_the_worker(value: object) -> None:
    assert Spec.model_validate({"name": "m", "threads": value}).threads == value
    assert Spec.model_validate({"name": "m"}).threads == "auto"


@pytest.mark.parametrize("value", [-1, 1.5, "2", True, None])
def test_threads_that_cannot_be(value: object) -> None:
    with pytest.raises(ValueError, match="auto, or a number from 0"):
        Spec.model_validate({"name": "m", "threads": value})


def test_every_shipped_spec_is_valid_and_found_by_name() -> None:
    assert {"imagenet", "shapes-detection", "shapes-segmentation", "spoken-digits", "language-id", "cartpole"} <= set(
        spec.names()
    )
    for name in spec.names():
        assert Spec.model_validate(spec.read(spec.find(name))).name == Path(name).name


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(SpecError, match=r"did you mean 'imagenet'\?"):
        spec.find("imagnet")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch: {size: 1}\nbatch: {size: 2}\n", "line 2: is not YAML: key 'batch' occurs twice"),
        ("- a\n", "wanted keys and values"),
        ("1: a\n", "key '1' is not a string"),
        ("options: {no: 1}\n", "line 1: is not YAML: key 'no' is not a string"),
        ("a: [\n", "is not YAML"),
        ("[a, b]: c\n", "is not a string"),
        ("handler: !!python/object/apply:os.getcwd []\n", "is not YAML"),
        ("a: " + "[" * 100 + "]" * 100, "nested more than 64 deep"),
        ("a: " + "[" * 100_000, "nested more than 64 deep"),
        ("a: [" + ("[" * 300 + "]" * 300 + ", ") * 400 + "]", "nested more than 64 deep"),
        (
            "a: &a [x, x]\n" + "".join(f"{n}: &{n} [*{p}, *{p}]\n" for p, n in pairwise("abcdefghijklmnopqrstu")),
            "20000 values",
        ),
        (
            "a: &a {x: 1}\n"
            + "".join(f"{n}: &{n} {{<<: [*{p}, *{p}]}}\n" for p, n in pairwise("abcdefghijklmnopqrstu")),
            "20000 v",
        ),
        ("a: &a [*a]\n", "nested more than 64 deep"),
        ("a: 2020-99-99\n", "line 1: is not YAML: a value is not a valid timestamp"),
        ("a: " + "9" * 5000, "is not YAML: a value is not a valid int"),
        ("a: !!timestamp x\n", "a value is not a valid timestamp"),
        ("a:\n  b: !!bool maybe\n", "line 2: is not YAML: a value is not a valid bool"),
        ("a: !!int ''\n", "a value is not a valid int"),
        ("a: [!!float '']\n", "a value is not a valid float"),
        ("a: !!map x\n", "is not YAML"),
        ("a: \x00\n", "is not YAML"),
        ("a: " + "x" * (256 << 10), "has more than 262144 bytes"),
        ("a: [" + "1, " * 21_000 + "]", "20000 values"),
        ("".join(f"{number}: 1\n" for number in range(10_500)), "20000 values"),
    ],
)
def test_what_is_no_spec(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        spec.read(path)


def test_a_spec_that_is_a_pipe_or_a_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(SpecError, match="no such file"):
            spec.find(str(tmp_path / f"{name}.yaml"))
        with pytest.raises(SpecError, match="not a file"):
            spec.read(tmp_path / f"{name}.yaml")


def test_archiver_imports_neither_torch_nor_its_neighbours() -> None:
    folder = Path(spec.__file__).parent
    for path in folder.glob("*.py"):
        top_level = ast.parse(path.read_text()).body
        modules = {alias.name for node in top_level if isinstance(node, ast.Import) for alias in node.names}
        modules |= {node.module or "" for node in top_level if isinstance(node, ast.ImportFrom)}
        # Of what it packs, only the readers that look at weights before anything loads them.
        others = {name for name in modules if not f"{name}.".startswith("handlers.formats.")}
        assert not {"torch", "ts", "handlers", "train", "client", "deploy"} & {
            name.partition(".")[0] for name in others
        }


@pytest.mark.parametrize(
    ("asked", "task", "format", "size", "chosen"),
    [
        ("auto", "policy", "torch-export", 100, "cpu"),
        ("auto", "policy", "safetensors", SMALL + 1, "auto"),  # it looks at images
        ("auto", "voice-activity", "torchscript", 2 << 20, "cpu"),
        ("auto", "image-classification", "safetensors", 100, "auto"),
        ("auto", "audio-classification", "safetensors", 100, "auto"),
        ("auto", "image-classification", "onnx", 100, "cpu"),
        ("auto", "a-task-of-ones-own", "safetensors", 100, "auto"),
        ("gpu", "policy", "safetensors", 100, "gpu"),
        ("gpu", "image-classification", "onnx", 100, "gpu"),  # with an ONNX Runtime of one's own
        ("cpu", "text-generation", "huggingface", SMALL + 1, "cpu"),
    ],
)
def test_the_device_that_auto_is(
    asked: Device, task: str, format: str, size: int, chosen: Device, tmp_path: Path
) -> None:
    """size: of the weights, which are in two files of a folder where the format has one."""
    weights = tmp_path / "weights"
    weights.write_bytes(bytes(size // 2))
    sample = tmp_path / "sample.wav"
    sample.write_bytes(bytes(2 * SMALL))
    names = ("weights/a", "weights/b")
    artifact: Any = SimpleNamespace(
        description=SimpleNamespace(format=format, weights="weights"),
        files={**dict.fromkeys(names, weights), "sample.wav": sample},
    )
    if size > SMALL:
        weights.write_bytes(bytes(size // 2 + 1))
    assert choose_device(asked, task, artifact) == chosen


@pytest.mark.parametrize(("device", "written"), [("auto", None), ("cpu", "cpu"), ("gpu", "gpu")])
def test_the_archive_tells_torchserve_and_deploy_of_its_device(
    device: str, written: str | None, tmp_path: Path
) -> None:
    project = SampleProject(tmp_path)
    package = resolve(project.spec(device=device), project.artifacts)
    built = archive.build(package, project.handlers, project.store)
    with Mar(built.path) as opened:
        assert opened.mapping(mar.CONFIGURATION).get("deviceType") == written
        assert inspect(opened).configuration.device == written
        assert opened.mapping(mar.CARD)["device"] == device
        values = opened.mapping(mar.CARD)
        del values["device"]  # as archives had it that were built before
        assert card.Card.model_validate(values).device == "auto"


def test_another_device_is_refused(tmp_path: Path) -> None:
    project = SampleProject(tmp_path)
    with pytest.raises(SpecError, match="device"):
        resolve(project.spec(device="cuda:1"), project.artifacts)
