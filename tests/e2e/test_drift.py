"""Inputs like the validation data, and then others, are sent to a real server: darker, quieter, longer ones."""

import io
import json
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import yaml
from PIL import Image
from typer.testing import CliRunner

from archiver.archive import build
from archiver.package import resolve
from client import RestClient
from deploy.configuration import PROJECT
from deploy.ports import HOST, Ports
from deploy.readiness import load
from deploy.status import Status
from deploy.supervision.drift import References, stability_index
from deploy.surface.status_server import StatusServer
from deploy.torchserve import TorchServe
from deploy.versions.command import app
from deploy.versions.drift import counts
from handlers.drift.monitor import SHARE
from tests.inputs import encoded

ENOUGH, SHIFTED = 500, 150
WORDS = ["the", "station", "is", "where", "you", "find", "trains", "and", "people", "who", "wait", "in", "the", "rain"]


def image(random: np.random.Generator, gain: float) -> bytes:
    height, width = random.integers(24, 48, 2)
    pixels = random.uniform(0, 255, (height, width, 3)) * random.uniform(0.4, 1) * gain
    return encoded(Image.fromarray(pixels.astype(np.uint8)))


def sound(random: np.random.Generator, gain: float) -> bytes:
    samples = random.normal(0, 1, random.integers(4000, 8000)) * random.uniform(0.02, 0.2) * gain
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def text(random: np.random.Generator, gain: float) -> bytes:
    return " ".join(random.choice(WORDS, int(random.integers(3, 15) * gain))).encode()


# Model: what makes an input, its type, suffix, the gain of a shifted one, and the features that then are shifted.
MODELS: dict[str, tuple[Callable[[np.random.Generator, float], bytes], str, str, float, set[str]]] = {
    "tiny-image": (image, "image/png", "png", 0.5, {"brightness"}),
    "tiny-audio": (sound, "audio/wav", "wav", 0.1, {"loudness"}),
    "tiny-text": (text, "text/plain", "txt", 2.5, {"characters", "tokens"}),
}
UNKNOWN = "tiny-labels"  # without validation data


@pytest.fixture(scope="module")
def server(
    tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TorchServe, StatusServer]]:
    root = tmp_path_factory.mktemp("drift")
    store = root / "store"
    unknown = tiny_archive(UNKNOWN)
    store.mkdir()
    (store / unknown.name).write_bytes(unknown.read_bytes())
    for model, (make, _, suffix, _, _) in MODELS.items():
        folder, random = root / f"{model}-validation", np.random.default_rng(1)
        folder.mkdir()
        for number in range(ENOUGH):
            (folder / f"{number:03}.{suffix}").write_bytes(make(random, 1.0))
        spec = root / f"{model}.yaml"
        artifact = tiny_archive(model).parent.parent / model / "artifact"
        values = {"name": model, "artifact": str(artifact), "workers": 1, "threads": 1, "drift": folder.name}
        spec.write_text(yaml.safe_dump({**values, "limits": {}, "batch": {"size": 4, "delay_ms": 1}}))
        build(resolve(spec, root), PROJECT / "handlers", store)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(SHARE, "1")  # the tests need not wait
        with TorchServe(store, root / "run", Ports.free()) as torchserve:
            load(torchserve.run, sorted(store.glob("*.mar")))
            status = Status(torchserve.server, store, list(MODELS), torchserve.run)
            status.look()
            exporter = StatusServer(status, HOST, torchserve.ports)
            exporter.start()
            yield torchserve, exporter
            exporter.stop()


def send(torchserve: TorchServe, model: str, number: int, gain: float, seed: int) -> None:
    make, content_type, *_ = MODELS[model]
    random = np.random.default_rng(seed)
    with RestClient(torchserve.server) as client:
        for _ in range(number):
            client.predict(model, make(random, gain), content_type=content_type)


def bins(torchserve: TorchServe, model: str) -> dict[str, dict[str, float]]:
    found = counts(f"http://{HOST}:{torchserve.ports.metrics}/metrics")
    return {feature: each for (name, _, feature), each in found.items() if name == model}


def settled(torchserve: TorchServe, model: str, number: int) -> dict[str, dict[str, float]]:
    """Once as many inputs have been counted: workers report once a second."""
    end = time.monotonic() + 20
    while True:
        found = bins(torchserve, model)
        if all(sum(each.values()) >= number for name, each in found.items() if name not in ("class", "confidence")):
            return found
        assert time.monotonic() < end, found
        time.sleep(0.2)


def status_of(torchserve: TorchServe, model: str) -> dict[str, Any]:
    environment = {"BUNDLE_RUN": str(torchserve.run), "TORCHSERVE_SERVER_FILE": str(torchserve.run / "server.json")}
    done = CliRunner().invoke(app, ["status", model, "--json"], env=environment)
    assert done.exit_code == 0, done.output
    [row] = json.loads(done.stdout)
    drift: dict[str, Any] = row["drift"]
    return drift


@pytest.mark.parametrize("model", MODELS)
def test_shifted_inputs_show(server: tuple[TorchServe, StatusServer], model: str) -> None:
    torchserve, _ = server
    send(torchserve, model, ENOUGH, 1.0, seed=2)
    before = settled(torchserve, model, ENOUGH)
    like = status_of(torchserve, model)
    assert {"class", "confidence"} <= like.keys()
    for feature, each in like.items():
        assert each["psi"] < 0.1, (feature, each)
        assert each["inputs"] >= ENOUGH
    gain, wanted = MODELS[model][3:]
    send(torchserve, model, SHIFTED, gain, seed=3)
    after = settled(torchserve, model, ENOUGH + SHIFTED)
    expected = References(torchserve.store).shares(f"{model}.mar")
    shifted = {}
    for feature, shares in expected.items():
        numbers = [after[feature].get(str(i), 0) - before[feature].get(str(i), 0) for i in range(len(shares))]
        shifted[feature] = stability_index(shares, numbers)
    assert {feature for feature in wanted if shifted[feature] > 0.2} == wanted, shifted
    unchanged = {"side", "aspect", "seconds", "unknown"} & shifted.keys()
    assert all(shifted[feature] < 0.2 for feature in unchanged), shifted


def test_the_expected_shares_are_exported(server: tuple[TorchServe, StatusServer]) -> None:
    torchserve, _ = server
    page = requests.get(f"http://{HOST}:{torchserve.ports.status}/metrics", timeout=10).text
    lines = [line for line in page.splitlines() if line.startswith("bundle_drift_expected_share{")]
    brightness = [float(line.rpartition(" ")[2]) for line in lines if 'feature="brightness"' in line]
    assert len(brightness) == 10
    assert sum(brightness) == pytest.approx(1)
    assert not any(UNKNOWN in line for line in lines)


def test_a_model_without_validation_data_shows_nothing(server: tuple[TorchServe, StatusServer]) -> None:
    torchserve, _ = server
    with RestClient(torchserve.server) as client:
        client.predict(UNKNOWN, image(np.random.default_rng(0), 1.0), content_type="image/png")
    assert status_of(torchserve, UNKNOWN) == {}
    assert bins(torchserve, UNKNOWN) == {}
