import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver.errors import SpecError
from archiver.package import Package, resolve
from archiver.spec import Spec
from tests.archiver.sample_project import LABELS, SampleProject


def problems(project: SampleProject, **differences: Any) -> str:
    with pytest.raises(SpecError) as caught:
        resolve(project.spec(**differences), project.artifacts)
    return str(caught.value)


def package(project: SampleProject, **differences: Any) -> Package:
    return resolve(project.spec(**differences), project.artifacts)


def test_an_empty_spec_takes_everything_from_the_artifact(project: SampleProject) -> None:
    made = package(project)
    assert (made.spec.name, made.spec.version, made.task) == ("model", "1.0", "image-classification")
    assert made.labels == LABELS
    assert made.preprocessing == {"resize": 32, "crop": None}
    media = {"max_instances": 64, "max_values": 3_000_000}
    assert made.limits == {"max_bytes": 16 * 2**20, "max_pixels": 25_000_000, **media, "max_feature_values": 100_000}
    assert made.options == {"top_k": 5, "decode": "auto", "features": {}, "threshold": 0.5}
    assert sorted(made.artifact.files) == ["sample.png", "weights.safetensors"]


def test_all_errors_at_once(project: SampleProject) -> None:
    text = problems(
        project,
        version=1.1,
        task="policy",
        wokers=2,
        threads=-1,
        batch={"size": "eight", "delay": 4},
        timeouts={"response_s": 0},
        limits={"max_pixel": 5},
        options={"top_k": 0, "score_threshold": 0.5},
        labels=["a"],
        preprocessing={"resise": 3},
        handler="mine.Handler",
        code=["nowhere.py"],
    )
    lines = text.splitlines()
    assert lines[0] == f"{project.spec_file}: {len(lines) - 1} problems"
    for expected in (
        'version: wanted a quoted string, as in "1.0" (unquoted, YAML takes 1.10 for 1.1); got 1.1',
        "task: 'policy' in the spec; the artifact",
        "wokers: unknown key; did you mean 'workers'?",
        "threads: wanted auto, or a number from 0 to 1024; got -1",
        "batch.size: wanted auto, or a number from 1 to 1024; got 'eight'",
        "batch.delay: unknown key; did you mean 'delay_ms'?",
        "timeouts.response_s: wanted greater than or equal to 1; got 0",
        "limits.max_pixel: unknown key; did you mean 'max_pixels'?",
        "options.top_k: wanted greater than or equal to 1; got 0",
        "labels: wanted 3, as many as the artifact has; got 1",
        "preprocessing.resise: unknown key; did you mean 'resize'?",
        "handler: 'mine.Handler' is in none of the files named in `code`",
        "code[0]: wanted a .py file or a package with __init__.py; got 'nowhere.py'",
    ):
        assert any(line.strip().startswith(expected) for line in lines), f"{expected}\n not in\n{text}"


def test_options_of_another_task_are_refused(project: SampleProject) -> None:
    assert "options.max_detections: unknown key; known keys: top_k" in problems(project, options={"max_detections": 5})


def test_a_missing_artifact_names_the_command_that_makes_it(project: SampleProject) -> None:
    text = problems(project, artifact="elsewhere", threads="1")
    assert "create it with `python -m train elsewhere`" in text
    assert "threads: wanted auto, or a number from 0 to 1024; got '1'" in text


def test_an_artifact_beside_the_spec(project: SampleProject) -> None:
    project.artifact.rename(project.spec_file.parent / "mine")
    assert package(project, artifact="mine").labels == LABELS


def test_two_versions_of_a_model_have_two_files(project: SampleProject) -> None:
    project.spec_file = project.spec_file.with_name("model-v2.yaml")
    made = package(project, name="model", version="2.0")
    assert (made.file_name, made.spec.name, made.spec.version) == ("model-v2", "model", "2.0")


@pytest.mark.parametrize(("file", "text"), [("l.txt", "a\nb\nc\n"), ("l.json", '["a", "b", "c"]')])
def test_labels_from_a_file(project: SampleProject, file: str, text: str) -> None:
    (project.spec_file.parent / file).write_text(text)
    assert package(project, labels=file).labels == ["a", "b", "c"]


def test_labels_that_yaml_reads_as_booleans(project: SampleProject) -> None:
    assert "YAML takes an unquoted no for false" in problems(project, labels=["en", False, "de"])


@pytest.mark.parametrize("text", ["{}", '["a", 1, "c"]', "["])
def test_a_label_file_that_is_none(project: SampleProject, text: str) -> None:
    (project.spec_file.parent / "l.json").write_text(text)
    assert "labels: 'l.json'" in problems(project, labels="l.json")


def test_preprocessing_differences(project: SampleProject) -> None:
    assert package(project, preprocessing={"crop": [24, 24]}).preprocessing == {"resize": 32, "crop": [24, 24]}


def test_a_handler_of_the_users_own_brings_its_own_options(project: SampleProject) -> None:
    mine = project.spec_file.parent / "mine"
    (mine / "tests").mkdir(parents=True)
    for name in ("__init__.py", "handler.py", "tests/test_handler.py"):
        (mine / name).write_text("")
    made = package(project, handler="mine.handler.Mine", code=["mine"], options={"colour": "red", "top_k": 2})
    assert sorted(made.code) == ["mine/__init__.py", "mine/handler.py"]
    assert made.options == {"top_k": 2, "decode": "auto", "features": {}, "threshold": 0.5, "colour": "red"}


@pytest.mark.parametrize("name", ["json", "torch", "handlers", "entry", "yaml"])
def test_code_must_not_hide_an_installed_module(project: SampleProject, name: str) -> None:
    (project.spec_file.parent / f"{name}.py").write_text("")
    assert f"code[0]: the name {name!r} is taken" in problems(project, code=[f"{name}.py"])


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", ".hidden", ".."])
def test_an_artifact_reaches_only_into_its_folder(project: SampleProject, name: str) -> None:
    project.describe(sample=name)
    assert "sample: wanted" in problems(project).replace("artifact.json: ", "")


def test_a_link_out_of_the_artifact_is_refused(project: SampleProject, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    (project.artifact / "sample.png").unlink()
    (project.artifact / "sample.png").symlink_to(tmp_path / "secret.png")
    assert "is a link to a target outside" in problems(project)


def test_pickles_are_refused_by_name_and_by_content(project: SampleProject) -> None:
    folder = project.artifact / "weights"
    folder.mkdir()
    (folder / "training_args.bin").write_bytes(b"PK\x03\x04")
    (folder / "config.json").write_bytes(b"\x80\x04\x95")
    project.describe(format="huggingface", weights="weights", architecture=None)
    text = problems(project)
    assert "weights/training_args.bin: is a pickle" in text
    assert "weights/config.json: is a pickle" in text


def test_the_length_of_a_header_is_not_taken_for_a_pickle(project: SampleProject) -> None:
    weights = project.artifact / "weights.safetensors"
    data = weights.read_bytes()
    size = int.from_bytes(data[:8], "little")
    padded = next(n for n in range(size, size + 2**16) if n % 256 == 0x80 and 2 <= n // 256 % 256 <= 5)
    weights.write_bytes(padded.to_bytes(8, "little") + data[8 : 8 + size].ljust(padded) + data[8 + size :])
    assert package(project).artifact.files["weights.safetensors"] == weights


def test_a_factory_that_is_not_a_networks(project: SampleProject) -> None:
    project.describe(architecture={"factory": "os.system", "arguments": {"command": "true"}})
    assert "architecture: factory 'os.system' is not in torchvision" in problems(project)
    project.describe(architecture={"factory": "net.Net", "arguments": {}})
    assert "architecture: factory 'net.Net' is not in torchvision" in problems(project)
    (project.spec_file.parent / "net.py").write_text("")
    assert package(project, code=["net.py"]).code.keys() == {"net.py"}


def test_a_task_of_ones_own_needs_a_handler(project: SampleProject) -> None:
    project.describe(task="edge-detection", labels=[])
    text = problems(project, limits={"max_depth": 3})
    assert "task: 'edge-detection' is not one of the project's" in text
    assert "your own task needs a `handler`" in text
    (project.spec_file.parent / "mine.py").write_text("")
    made = package(project, handler="mine.Mine", code=["mine.py"], limits={"max_depth": 3}, options={"colour": "red"})
    assert (made.task, made.handler) == ("edge-detection", "mine.Mine")
    media = {"max_instances": 64, "max_values": 3_000_000}
    assert made.limits == {"max_bytes": 16 * 2**20, "max_depth": 3, **media}
    assert made.options == {"colour": "red"}


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 70 + "1" + "}" * 70, '{"schema": ' + "9" * 5000 + "}"])
def test_an_artifact_that_is_nested_or_long(project: SampleProject, text: str) -> None:
    (project.artifact / "artifact.json").write_text(text)
    assert "the file: " in problems(project)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("model"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([*Spec.model_fields, "unknown"]), VALUES, max_size=4))
def test_whatever_a_spec_holds_the_error_is_a_spec_error(project: SampleProject, values: dict[str, Any]) -> None:
    with suppress(SpecError):
        resolve(project.spec(**values), project.artifacts)


def test_values_json_cannot_hold(project: SampleProject) -> None:
    assert "preprocessing: contains a value that JSON does not support" in problems(
        project, preprocessing={"resize": float("nan")}
    )
    project.describe(metrics={"top1": float("nan")})
    assert "NaN is not a JSON number" in problems(project)


def test_an_artifact_of_another_schema(project: SampleProject) -> None:
    project.describe(schema=2, extra=1)
    text = problems(project)
    assert "schema: wanted 1; got 2" in text
    assert "extra: unknown key" in text


def test_an_artifact_without_its_files(project: SampleProject) -> None:
    (project.artifact / "weights.safetensors").unlink()
    project.describe(sample="sample.gif", architecture=None, labels=[])
    text = problems(project)
    for expected in ("weights: 'weights.safetensors' is not in", "sample: wanted one of", "architecture:", "labels:"):
        assert expected in text


def test_the_artifact_that_training_writes_is_read(tmp_path: Path) -> None:
    from train.core.artifact import Artifact

    (tmp_path / "x.json").write_text("[0.0]")
    torch.export.save(torch.export.export(torch.nn.Linear(1, 1), (torch.zeros(2, 1),)), tmp_path / "x.pt2")
    preprocessing = {"observation": {"shape": [1]}, "action": {"kind": "discrete", "count": 1}}
    folder = Artifact(name="written", task="policy", format="torch-export", preprocessing=preprocessing).write(
        tmp_path / "artifacts" / "written", tmp_path / "x.pt2", tmp_path / "x.json"
    )
    (tmp_path / "written.yaml").write_text("")
    made = resolve(tmp_path / "written.yaml", tmp_path / "artifacts")
    assert made.artifact.description.versions == json.loads((folder / "artifact.json").read_text())["versions"]
