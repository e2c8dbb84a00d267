"""Archives of torch-model-archiver, with TorchServe's own handlers or a user's, beside one of ours on one server."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from rich.console import Console

from archiver.store import entries
from client import RestClient, RestManagement
from deploy import archive as deploy_archive
from deploy.archive import Archive, newest
from deploy.errors import DeployError
from deploy.ports import Ports
from deploy.readiness import load
from deploy.report import print_models
from deploy.run_folder import running
from deploy.torchserve import TorchServe
from tests.deploy.stock_archives import stock_archives

Served = tuple[TorchServe, dict[str, Path], dict[str, float]]


@pytest.fixture(scope="module")
def served(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("stock")
    store = folder / "store"
    archives = stock_archives(folder, store)
    archives["tiny-policy"] = Path(shutil.copy(tiny_archive("tiny-policy"), store))
    (folder / "home").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "home"))
        for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "CI"):  # it is off where CI is set
            patch.delenv(name, raising=False)
        with TorchServe(store, folder / "run", Ports.free()) as torchserve:
            ready = load(torchserve.run, list(archives.values()))
            yield torchserve, archives, ready


@pytest.fixture(scope="module")
def rest(served: Served) -> Iterator[RestClient]:
    with RestClient(served[0].server) as client:
        yield client


def image(colour: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> bytes:
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


@pytest.mark.e2e
def test_an_image_classifier(rest: RestClient) -> None:
    green = rest.predict("colours", image((0, 255, 0)), content_type="image/png").json()
    assert max(green, key=green.get) == "green"
    assert len(green) == 5


@pytest.mark.e2e
def test_json_is_parsed_for_a_stock_handler_and_not_for_ours(rest: RestClient) -> None:
    """An image as lists of numbers, which TorchServe parses; ours parse for themselves, and say what is wrong."""
    pixels = np.zeros((3, 8, 8))
    pixels[2] = 1
    body = json.dumps(pixels.tolist()).encode()
    blue = rest.predict("colours", body, content_type="application/json").json()
    assert max(blue, key=blue.get) == "blue"
    assert rest.predict("tiny-policy", {"data": [0.1, 0.2, 0.3, 0.4]}).json()["action"] in (0, 1)


@pytest.mark.e2e
def test_an_object_detector(rest: RestClient) -> None:
    [found] = rest.predict("objects", image((9, 9, 9)), content_type="image/png").json()
    assert found["cat"] == [0, 0, 32, 24]
    assert found["score"] == pytest.approx(0.9)


@pytest.mark.e2e
def test_an_image_segmenter(rest: RestClient) -> None:
    answer = np.array(rest.predict("pixels", image((255, 0, 0)), content_type="image/png").json())
    assert answer.shape == (224, 224, 2)
    assert (answer[..., 0] == 0).all()


@pytest.mark.e2e
def test_a_text_classifier(rest: RestClient) -> None:
    answer = rest.predict("topics", "Rain!", content_type="text/plain").json()
    assert answer["weather"] > 0.9


@pytest.mark.e2e
def test_a_handler_of_a_user(rest: RestClient) -> None:
    assert rest.predict("doubler", {"numbers": [1, 2.5]}).json() == {"doubled": [2, 5]}


@pytest.mark.e2e
def test_its_own_settings_stand(served: Served) -> None:
    with RestManagement(served[0].server) as management:
        own, plain = management.describe("doubler"), management.describe("colours")
    assert (own.version, own.batch_size, own.max_batch_delay, own.min_workers) == ("2.5", 2, 20, 1)
    assert plain.batch_size == 1


@pytest.mark.e2e
def test_no_worker_reports_to_anybody(served: Served) -> None:
    """ONNX Runtime's telemetry would keep an identifier of the device, and what it has not yet sent, in a home."""
    assert list((served[0].run.parent / "home").rglob("*onnxruntime*")) == []


@pytest.mark.e2e
def test_the_table_of_models_has_them_all(served: Served) -> None:
    torchserve, archives, ready = served
    process, text = running(torchserve.run), StringIO()
    assert isinstance(process, psutil.Process)
    console = Console(file=text, width=200)
    print_models(console, torchserve.server, [Archive.read(path) for path in archives.values()], ready, process)
    for name in archives:
        assert name in text.getvalue()


@pytest.mark.e2e
def test_archives_are_listed_with_their_handlers(served: Served) -> None:
    store = served[1]["colours"].parent
    listed = {entry.name: entry for entry in entries(store)}
    assert not any(entry.problem for entry in listed.values())
    assert listed["colours"].task == "handler image_classifier"
    assert (listed["doubler"].task, listed["doubler"].version) == ("handler doubler.py", "2.5")
    assert listed["doubler"].built_with == "torch-model-archiver 0.12.0"
    assert listed["tiny-policy"].task == "policy"


def test_what_a_stock_handler_lacks_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = Archive(tmp_path / "colours.mar", "colours", "1.0", "image_classifier")
    assert found.missing == ""
    monkeypatch.setattr(deploy_archive, "find_spec", lambda name: None)
    assert "captum" in found.missing
    assert "./scripts/setup stock" in found.missing
    assert Archive(tmp_path / "doubler.mar", "doubler", "1.0", "doubler.py").missing == ""


def test_the_highest_version_is_the_newest(tmp_path: Path) -> None:
    made = [Archive(tmp_path / version, "m", version, "entry.py") for version in ("1.9", "2.0", "1.10", "beta")]
    assert newest(made)["m"].version == "2.0"
    assert newest([made[0], made[2], Archive(tmp_path, "other", "1", "entry.py")])["m"].version == "1.10"


def test_what_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mar")
    (tmp_path / "folder.mar").mkdir()
    (tmp_path / "link.mar").symlink_to(tmp_path / "nowhere")
    reasons = {"pipe": "it is a pipe, not a file", "folder": "it is a folder, not a file", "link": "No such file"}
    for name, reason in reasons.items():
        with pytest.raises(DeployError, match=reason):
            Archive.read(tmp_path / f"{name}.mar")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("MAR-INF/MANIFEST.json", b"[" * 100_000),
        ("MAR-INF/MANIFEST.json", b'{"model": {"modelName": ["m"], "handler": "h"}}'),
        ("MAR-INF/MANIFEST.json", bytes(17 << 20)),
        ("card.json", b"[" * 100_000),
        ("card.json", b"[1]"),
    ],
)
def test_members_that_cannot_be_read(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.mar"
    members = {"MAR-INF/MANIFEST.json": b'{"model": {"modelName": "m", "handler": "h"}}', name: content}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for member, value in members.items():
            file.writestr(member, value)
    with pytest.raises(DeployError, match=r"broken\.mar is not an archive that TorchServe can serve"):
        Archive.read(path)


def test_settings_are_numbers_and_nothing_refers_to_another(tmp_path: Path) -> None:
    path = tmp_path / "own.mar"
    bomb = "".join(f"b{n}: &b{n} {{<<: [*b{n - 1}, *b{n - 1}]}}\n" for n in range(1, 40))
    with zipfile.ZipFile(path, "w") as file:
        model = {"modelName": "m", "handler": "h", "configFile": "c.yaml"}
        file.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": model}))
        file.writestr("c.yaml", f"minWorkers: 2\nbatchSize: many\nmaxBatchDelay: -5\nb0: &b0 {{x: 1}}\n{bomb}")
    assert Archive.read(path).settings == {"minWorkers": 2}


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_not_an_archive(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.mar"
    path.write_bytes(content)
    with pytest.raises(DeployError, match=r"broken\.mar is not an archive that TorchServe can serve"):
        Archive.read(path)


@pytest.mark.parametrize("manifest", [{}, [], {"model": []}, {"model": {"modelName": "mine"}}])
def test_a_broken_manifest(manifest: object, tmp_path: Path) -> None:
    path = tmp_path / "broken.mar"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
    with pytest.raises(DeployError, match=r"broken\.mar is not an archive that TorchServe can serve"):
        Archive.read(path)


@pytest.mark.parametrize("name", ["none.yaml", "own.yaml"])
def test_broken_settings(name: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.mar"
    model = {"modelName": "mine", "handler": "mine.py", "configFile": name}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": model}))
        file.writestr("own.yaml", "a: [1")
    with pytest.raises(DeployError, match=rf"broken\.mar: its {name} cannot be read"):
        _ = Archive.read(path).settings
