import hashlib
import json
import os
import stat
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from archiver import mar
from archiver.archive import build, members
from archiver.errors import SpecError, VerificationError
from archiver.mar import Mar
from archiver.package import resolve
from tests.archiver.sample_project import SampleProject


def built(project: SampleProject) -> Path:
    return build(resolve(project.spec_file, project.artifacts), project.handlers, project.store).path


def test_same_inputs_same_bytes(tmp_path: Path) -> None:
    """In another place, at another time, written in another order, with other permissions and times of the files."""
    first = SampleProject(tmp_path / "first")
    one = built(first)
    time.sleep(2.1)  # a zip's times go in steps of two seconds
    mask = os.umask(0o077)
    try:
        second = SampleProject(tmp_path / "another" / "second")
        for path in sorted(second.handlers.rglob("*"), reverse=True):
            os.utime(path, (10**9, 10**9))
        (second.handlers / "entry.py").chmod(0o755)
        two = built(second)
    finally:
        os.umask(mask)
    assert one.read_bytes() == two.read_bytes()


def test_another_input_other_bytes(project: SampleProject) -> None:
    before = built(project).read_bytes()
    project.spec(options={"top_k": 2})
    assert built(project).read_bytes() != before


def test_layout(project: SampleProject) -> None:
    (project.spec_file.parent / "mine.py").write_text("class Mine: ...\n")
    project.spec(code=["mine.py"])
    with zipfile.ZipFile(built(project)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "MAR-INF/MANIFEST.json",
            "artifact/artifact.json",
            "artifact/sample.png",
            "artifact/weights.safetensors",
            "card.json",
            "entry.py",
            "handlers/__init__.py",
            "handlers/entry.py",
            "handlers/vision/image_classification.py",
            "mine.py",
            "model-config.yaml",
        ]
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.external_attr >> 16 == stat.S_IFREG | 0o644
            assert entry.compress_type == zipfile.ZIP_STORED
            # TorchServe unpacks from a stream, where Java reads a stored entry only if its sizes come before it.
            assert not entry.flag_bits & 0x08


def class_file(name: str) -> bytes:
    """A compiled class of the installed TorchServe; it holds the names of fields and the strings compared with."""
    package = find_spec("ts")
    assert package is not None
    assert package.origin is not None
    with zipfile.ZipFile(Path(package.origin).parent / "frontend" / "model-server.jar") as jar:
        return jar.read(f"org/pytorch/serve/archive/model/{name}.class")


def test_torchserve_knows_every_key_of_the_manifest(project: SampleProject) -> None:
    with Mar(built(project)) as mar:
        manifest = mar.mapping("MAR-INF/MANIFEST.json")
    assert manifest["model"] == {
        "modelName": "model",
        "modelVersion": "1.0",
        "handler": "entry.py",
        "configFile": "model-config.yaml",
    }
    for key in manifest:
        assert key.encode() in class_file("Manifest")
    for key in manifest["model"]:
        assert key.encode() in class_file("Manifest$Model")
    assert manifest["runtime"].encode() in class_file("Manifest$RuntimeType")


def test_torchserve_knows_every_key_of_the_configuration_but_the_handlers_block(project: SampleProject) -> None:
    with Mar(built(project)) as mar:
        configuration = mar.mapping("model-config.yaml")
    for key, value in configuration.items():
        if key != "handler":
            assert key.encode() in class_file("ModelConfig")
            assert type(value) is int


@pytest.mark.parametrize(
    ("batch", "configured"), [({}, (4, 1)), ({"size": 2, "delay_ms": 0}, (2, 1)), ({"size": 64}, (64, 1))]
)
def test_what_is_left_to_the_machine_is_safe_on_any_server(
    project: SampleProject, batch: dict[str, int], configured: tuple[int, int]
) -> None:
    """TorchServe takes a delay of 0 in an archive for 100 ms; what the spec asked for is on the card."""
    project.spec(batch=batch)
    with zipfile.ZipFile(built(project)) as archive:
        configuration = yaml.safe_load(archive.read("model-config.yaml"))
        card = json.loads(archive.read("card.json"))
    assert (configuration["batchSize"], configuration["maxBatchDelay"]) == configured
    assert card["batch"] == {"size": "auto", "delay_ms": "auto", **batch}


def test_configuration_sets_every_key_torchserve_would_guess(project: SampleProject) -> None:
    project.spec(
        workers=2,
        threads=3,
        batch={"size": 4, "delay_ms": 7},
        queue=100,
        timeouts={"response_s": 9},
        limits={"max_pixels": 5},
    )
    with zipfile.ZipFile(built(project)) as archive:
        configuration = yaml.safe_load(archive.read("model-config.yaml"))
    assert configuration == {
        "minWorkers": 2,
        "maxWorkers": 2,
        "batchSize": 4,
        "maxBatchDelay": 7,
        "jobQueueSize": 100,
        "responseTimeout": 9,
        "startupTimeout": 600,
        "handler": {
            "class": "handlers.vision.image_classification.ImageClassification",
            "threads": 3,
            "request_s": 3.0,
            "limits": {
                "max_instances": 64,
                "max_values": 3_000_000,
                "max_bytes": 16 * 2**20,
                "max_pixels": 5,
                "max_feature_values": 100_000,
            },
            "options": {"top_k": 5, "decode": "auto", "features": {}, "threshold": 0.5},
            "explain": {
                "class": "handlers.explanation.image_classification.ImageClassificationExplainer",
                "n_steps": 50,
                "max_evaluations": 500,
                "max_seconds": 6.0,
            },
        },
    }


def test_differences_reach_the_artifact_and_the_card(project: SampleProject) -> None:
    project.spec(labels=["a", "b", "c"], preprocessing={"resize": 48})
    with Mar(built(project)) as mar:
        for name in ("artifact/artifact.json", "card.json"):
            values = mar.mapping(name)
            assert (values["labels"], values["preprocessing"]["resize"]) == (["a", "b", "c"], 48)


def test_card_digests_are_sha256(project: SampleProject) -> None:
    with Mar(built(project)) as mar:
        card = mar.mapping("card.json")
        weights = mar.read("artifact/weights.safetensors")
        listing = "".join(
            f"{hashlib.sha256(mar.read(name)).hexdigest()}  {name}\n"
            for name in (
                "entry.py",
                "handlers/__init__.py",
                "handlers/entry.py",
                "handlers/vision/image_classification.py",
            )
        )
    assert card["sha256"]["weights"] == hashlib.sha256(weights).hexdigest()
    assert card["sha256"]["handlers"] == hashlib.sha256(listing.encode()).hexdigest()


def test_card_is_json_of_the_artifact_and_the_spec(project: SampleProject) -> None:
    content = members(resolve(project.spec_file, project.artifacts), project.handlers)[0]["card.json"]
    assert isinstance(content, bytes)
    card = json.loads(content)
    assert card["schema"] == 1
    assert card["metrics"] == {"top1": 0.75}
    assert card["versions"]["torch"] == "2.11.0"
    assert "image/jpeg" in card["input"]["content_types"]


def test_a_task_without_its_handler(project: SampleProject) -> None:
    (project.handlers / "vision" / "image_classification.py").unlink()
    with pytest.raises(SpecError, match=r"handlers.vision.image_classification.ImageClassification: does not exist"):
        built(project)


def test_a_failed_check_leaves_the_old_archive_and_nothing_else(project: SampleProject) -> None:
    old = built(project).read_bytes()
    project.spec(options={"top_k": 1})

    def refuse(path: Path) -> None:
        assert path.name.startswith(".")
        raise VerificationError(str(path), [])

    with pytest.raises(VerificationError):
        build(resolve(project.spec_file, project.artifacts), project.handlers, project.store, refuse)
    assert [path.name for path in project.store.iterdir()] == ["model.mar"]
    assert (project.store / "model.mar").read_bytes() == old


@pytest.mark.parametrize("left", ["link", "dangling link", "pipe", "file"])
def test_nothing_is_written_through_what_lies_in_the_place_of_the_partial_file(
    project: SampleProject, tmp_path: Path, left: str
) -> None:
    victim, partial = tmp_path / "victim", project.store / ".model.mar.partial"
    project.store.mkdir()
    if left != "dangling link":
        victim.write_text("mine")
    if left.endswith("link"):
        partial.symlink_to(victim)
    elif left == "pipe":
        os.mkfifo(partial)
    else:
        os.link(victim, partial)
    archive = built(project)
    assert stat.S_ISREG(archive.lstat().st_mode)
    assert zipfile.is_zipfile(archive)
    assert not os.path.lexists(partial)
    assert victim.read_text() == "mine" if left != "dangling link" else not victim.exists()


def test_a_folder_in_the_place_of_the_partial_file_is_an_error(project: SampleProject) -> None:
    (project.store / ".model.mar.partial").mkdir(parents=True)
    with pytest.raises(OSError, match="partial"):
        built(project)
    with pytest.raises(FileExistsError):
        mar.write(project.store, {})
