import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from archiver.archive import build
from archiver.digest import groups, sha256
from archiver.errors import SpecError, VerificationError
from archiver.mar import Mar
from archiver.package import resolve
from archiver.verification.verify import verify
from handlers.formats.zip_file import is_unsafe
from tests import tiny_audio
from tests.archiver.sample_project import HANDLER, PAYLOAD, SampleProject

PROJECT = Path(__file__).parents[2]


def built(project: SampleProject) -> Path:
    return build(resolve(project.spec_file, project.artifacts), project.handlers, project.store).path


def rewritten(path: Path, changes: dict[str, bytes | None]) -> Path:
    """The archive with other contents under some names, or without them."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    for name, value in changes.items():
        content.pop(name, None)
        if value is not None:
            content[name] = value
    target = path.with_name("changed.mar")
    with zipfile.ZipFile(target, "w") as archive:
        for name, value in content.items():
            archive.writestr(name, value)
    return target


def failure(path: Path) -> str:
    with pytest.raises(VerificationError) as caught:
        verify(path)
    return str(caught.value)


@pytest.mark.slow
def test_a_silent_sample_is_refused(tmp_path: Path) -> None:
    artifact = tiny_audio.keywords(tmp_path / "artifact")
    soundfile.write(artifact / "sample.wav", np.zeros(16_000), 16_000)
    spec = tmp_path / "keywords.yaml"
    spec.write_text("name: keywords\nartifact: artifact\nbackend: torch\n")
    path = build(resolve(spec, tmp_path), PROJECT / "handlers", tmp_path / "store").path
    message = failure(path)
    assert "the sample alone: the sample is silent, so it does not test the model; wanted one with sound" in message
    assert ": 1 problem\n" in message


def test_a_good_archive(project: SampleProject) -> None:
    result = verify(built(project))
    assert result.load_s > 0
    assert result.answer_s > 0


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("artifact/weights.safetensors", "weights"),
        ("artifact/sample.png", "artifact"),
        ("entry.py", "handlers"),
        ("handlers/extra.py", "handlers"),
        ("handlers/vision/image_classification.py", "handlers"),
        ("datasets.py", "code"),
        ("MAR-INF/more.txt", "configuration"),
    ],
)
def test_tampering_shows_in_the_digests(project: SampleProject, name: str, group: str) -> None:
    assert f"{group}: " in failure(rewritten(built(project), {name: b"tampered"}))


def test_a_damaged_byte_shows(project: SampleProject) -> None:
    path = built(project)
    data = bytearray(path.read_bytes())
    data[data.index(PAYLOAD) + 50] ^= 0xFF
    path.write_bytes(data)
    assert "CRC" in failure(path)


@pytest.mark.parametrize("name", ["../evil.py", "/evil.py", "a/../../evil.py", "a\\..\\evil.py", "C:/evil.py"])
def test_paths_out_of_the_archive(project: SampleProject, name: str) -> None:
    assert is_unsafe(name)
    assert f"{name}: leads out" in failure(rewritten(built(project), {name: b""}))


def test_links_and_repeated_names(project: SampleProject) -> None:
    path = built(project)
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("entry.py", "")
    text = failure(path)
    assert "link: is a link" in text
    assert "entry.py: appears twice" in text


@pytest.mark.parametrize(
    ("file", "key", "value", "message"),
    [
        ("MAR-INF/MANIFEST.json", "runtime", "LSP", "runtime: wanted 'python'; got 'LSP'"),
        ("MAR-INF/MANIFEST.json", "serializedFile", "x", "serializedFile: unknown key"),
        ("model-config.yaml", "maxBatchDelay", 0, "maxBatchDelay: wanted greater than or equal to 1; got 0"),
        ("model-config.yaml", "batchSize", "8", "batchSize: wanted a valid integer; got '8'"),
        ("card.json", "schema", 9, "schema: wanted 1; got 9"),
        ("card.json", "version", "9.9", "version is '9.9'; in MAR-INF/MANIFEST.json it is '1.0'"),
        ("card.json", "labels", ["dark"], "labels is ['dark']"),
    ],
)
def test_inconsistent_files(project: SampleProject, file: str, key: str, value: object, message: str) -> None:
    path = built(project)
    with Mar(path) as mar:
        values = mar.mapping(file)
    assert message in failure(rewritten(path, {file: json.dumps({**values, key: value}).encode()}))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [("limits", "max_pixels", "x"), ("limits", "max_bytes", None), ("limits", "max_instances", -1),
     ("options", "top_k", []), ("options", "top_k", -1), ("options", "features", 5)],
)  # fmt: skip
def test_settings_of_the_wrong_kind(
    tiny_archive: Callable[[str], Path], tmp_path: Path, section: str, key: str, value: object
) -> None:
    path = Path(shutil.copy(tiny_archive("tiny-image"), tmp_path))
    with Mar(path) as mar:
        values = mar.mapping("model-config.yaml")
    values["handler"][section][key] = value
    said = failure(rewritten(path, {"model-config.yaml": json.dumps(values).encode()}))
    assert re.search(rf"model-config\.yaml: handler\.{section}\.{key}: wanted ", said), said


@pytest.mark.parametrize(
    "name", ["MAR-INF/MANIFEST.json", "card.json", "model-config.yaml", "entry.py", "artifact/artifact.json"]
)
def test_missing_files(project: SampleProject, name: str) -> None:
    assert f"{name}: missing" in failure(rewritten(built(project), {name: None}))


def test_what_is_no_zip(tmp_path: Path) -> None:
    (tmp_path / "x.mar").write_text("hello")
    assert "cannot be read as a zip" in failure(tmp_path / "x.mar")
    assert "cannot be read as a zip" in failure(tmp_path / "missing.mar")


def test_a_pickle_inside(project: SampleProject) -> None:
    assert "artifact/optimizer.pth: is a pickle" in failure(
        rewritten(built(project), {"artifact/optimizer.pth": b"PK"})
    )


def test_weights_that_would_run_code_are_refused_in_an_archive_too(project: SampleProject) -> None:
    """An archive may come from elsewhere: its own card then agrees with whatever is in it."""
    path = built(project)
    with Mar(path) as mar:
        digests = {name: sha256(mar.read(name)) for name in mar.names}
        artifact, card = mar.mapping("artifact/artifact.json"), mar.mapping("card.json")
    artifact["architecture"] = {"factory": "os.system", "arguments": {"command": "true"}}
    changes = {"artifact/artifact.json": json.dumps(artifact).encode(), "artifact/weights.safetensors": b"\xff" * 99}
    digests |= {name: sha256(value) for name, value in changes.items()}
    del digests["card.json"]
    card["sha256"] = groups(digests, "artifact/weights.safetensors")
    text = failure(rewritten(path, {**changes, "card.json": json.dumps(card).encode()}))
    assert "artifact/weights.safetensors: is not safetensors" in text
    assert "architecture: factory 'os.system' is not in torchvision, torchaudio" in text


def test_a_saved_module_is_not_torchscript(project: SampleProject) -> None:
    saved = io.BytesIO()
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("weights/data.pkl", b"")
    (project.artifact / "weights.pt").write_bytes(saved.getvalue())
    project.describe(format="torchscript", weights="weights.pt", architecture=None)
    with pytest.raises(SpecError, match=r"weights\.pt: is not TorchScript"):
        built(project)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "def __init__(self, context):",
            "def __init__(self, context):\n        import no_such_module",
            "no_such_module",
        ),
        ('if not row["body"]:', "import os\n        os._exit(3)\n        if False:", "died with exit status 3"),
        ('if not row["body"]:', "if not row[\"body\"]:\n            raise ValueError('whole batch')", "whole batch"),
        ("for index, row in enumerate(rows)]", "for index, row in enumerate(rows)][:1]", "a list of 1 for 2 requests"),
        ('if not row["body"]:', "if False:", "wanted a status from 400 to 499"),
        ("return [json.dumps(self.card).encode()]", "return [b'{}']", "wanted the model card of model 1.0"),
    ],
)
def test_handlers_that_fail(project: SampleProject, old: str, new: str, message: str) -> None:
    assert old in HANDLER
    project.handler(HANDLER.replace(old, new))
    assert message in failure(built(project))


def test_a_class_without_a_label(project: SampleProject) -> None:
    project.describe(labels=["dark", "bright"])
    assert "the probabilities of all 2 classes sum to 0.8000, not to 1" in failure(built(project))


def test_a_handler_that_hangs(project: SampleProject) -> None:
    project.handler("import time\n" + HANDLER.replace("        folder =", "        time.sleep(600)\n        folder ="))
    project.spec(timeouts={"startup_s": 1, "response_s": 1})
    assert "the worker: did not finish within 4 s" in failure(built(project))


@pytest.mark.parametrize(
    "name",
    [
        "tiny-image",
        "tiny-instance",
        pytest.param("tiny-detection", marks=pytest.mark.slow),
        pytest.param("tiny-semantic", marks=pytest.mark.slow),
        pytest.param("tiny-audio", marks=pytest.mark.slow),
        pytest.param("tiny-text", marks=pytest.mark.slow),
        pytest.param("tiny-policy", marks=pytest.mark.slow),
        pytest.param("tiny-torque", marks=pytest.mark.slow),
    ],
)
def test_every_task_with_the_real_handlers(tiny_archive: Callable[[str], Path], name: str) -> None:
    assert verify(tiny_archive(name)).load_s > 0
