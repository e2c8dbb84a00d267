"""Registering, scaling and removing models of a running server, its model cards, keys and metrics."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import psutil
import pytest
import requests

from client import ClientError, Conflict, NotFound, RestClient, RestManagement, ServerError, Unauthorized
from client.errors import INVALID_KEY
from client.management import Management
from deploy.configuration import PROJECT
from deploy.processes import family
from deploy.run_folder import state_of
from deploy.torchserve import TorchServe
from handlers.torchserve.metrics import INTERVAL
from tests.e2e.conftest import Predict
from tests.inputs import IMAGES, encoded

PNG = encoded(IMAGES[2])


def test_cards(management: Management) -> None:
    status = management.describe("tiny-image", card=True)
    assert status.ready
    card = status.card or {}
    assert (card["task"], card["labels"], card["metrics"]) == (
        "image-classification",
        ["cat", "dog", "bird"],
        {"accuracy": 0.33},
    )
    assert len(card["sha256"]["weights"]) == 64
    assert card["runtime"]["device"]


def test_the_life_of_a_model(management: Management, rest: RestClient, torchserve: TorchServe) -> None:
    """A copy of an archive under another name: registered, asked, scaled, removed."""
    assert "copy" not in [model.name for model in management.list_models()]
    management.register("tiny-image.mar", name="copy", initial_workers=1)
    try:
        assert management.is_ready("copy")
        assert rest.predict("copy", PNG).json() == rest.predict("tiny-image", PNG).json()
        # Over gRPC, TorchServe ends this call without saying why.
        with pytest.raises(Conflict if isinstance(management, RestManagement) else ServerError):
            management.register("tiny-image.mar", name="copy")
        management.scale("copy", 2)
        assert len(management.describe("copy").workers) == 2
        management.scale("copy", 1)
    finally:
        management.unregister("copy")
    with pytest.raises(NotFound):
        management.describe("copy")


@pytest.mark.parametrize("archive", ["http://127.0.0.1:9/evil.mar", "file:///etc/passwd", "../evil.mar", "missing.mar"])
def test_archives_come_from_the_store_alone(management: Management, archive: str, tmp_path: Path) -> None:
    with pytest.raises(ClientError) as raised:
        management.register(archive, name="evil")
    assert 400 <= raised.value.code < 500


def test_an_archive_elsewhere_on_this_machine(
    management: Management, tiny_archive: Callable[[str], Path], tmp_path: Path
) -> None:
    path = shutil.copy(tiny_archive("tiny-image"), tmp_path / "elsewhere.mar")
    with pytest.raises(ClientError) as raised:
        management.register(f"file://{path}", name="elsewhere")
    assert 400 <= raised.value.code < 500


def test_without_a_key(client: Predict, torchserve: TorchServe) -> None:
    keyless = dataclasses.replace(torchserve.server, key_file=None)
    with type(client)(keyless) as stranger, pytest.raises(Unauthorized):
        stranger.predict("tiny-image", PNG)


def test_the_inference_key_opens_no_management(torchserve: TorchServe, rest: RestClient) -> None:
    headers = {"Authorization": rest._credentials.bearer("inference") or ""}
    answer = requests.get(f"{torchserve.server.management}/models", headers=headers, timeout=10)
    assert answer.status_code in (400, 401, 403)


def test_a_key_that_is_no_longer_valid_is_renewed(client: Predict, torchserve: TorchServe) -> None:
    """Another process asks for a new key, which ends the one this client holds."""
    client.predict("tiny-image", PNG)
    with RestManagement(torchserve.server) as other:
        other._credentials.renew("inference", other._credentials.bearer("inference"))
    client.predict("tiny-image", PNG)


def test_new_keys_by_a_command(torchserve: TorchServe) -> None:
    """The old ones are refused at once; clients find the new ones. What it prints holds no key."""
    server = torchserve.server
    assert server.key_file is not None
    before = json.loads(server.key_file.read_text())
    with RestClient(server) as client:
        client.predict("tiny-image", PNG)
        command = [sys.executable, "-m", "deploy", "keys", "--rotate"]
        environment = {**os.environ, "BUNDLE_RUN": str(torchserve.run)}
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, f"new keys are in {server.key_file}\n"), done.stderr
        after = json.loads(server.key_file.read_text())
        for name in ("inference", "management"):
            assert after[name]["key"] != before[name]["key"]
        headers = {"Authorization": f"Bearer {before['inference']['key']}"}
        refused = requests.post(f"{server.inference}/predictions/tiny-image", data=PNG, headers=headers, timeout=10)
        assert refused.json()["type"] == INVALID_KEY
        client.predict("tiny-image", PNG)


def test_malformed_grpc_messages_leave_no_stack_traces(torchserve: TorchServe) -> None:
    server = torchserve.server
    assert server.key_file is not None
    key = json.loads(server.key_file.read_text())["inference"]["key"]
    logs = [torchserve.run / "logs" / name for name in ("console.log", "server.log")]
    before = [path.stat().st_size for path in logs]
    with grpc.insecure_channel(server.grpc) as channel:
        for method in ("Predictions", "StreamPredictions", "StreamPredictions2"):
            call = channel.unary_unary(f"/org.pytorch.serve.grpc.inference.InferenceAPIsService/{method}")
            for message in (b"\xff" * 20, b"\x0a\xff\xff\xff\xff\x0f"):
                with pytest.raises(grpc.RpcError):
                    call(message, metadata=[("authorization", f"Bearer {key}")], timeout=5)
    assert [path.stat().st_size for path in logs] == before


def test_forms_that_cannot_be_read_leave_a_line_each(torchserve: TorchServe) -> None:
    server = torchserve.server
    assert server.key_file is not None
    headers = {"Authorization": f"Bearer {json.loads(server.key_file.read_text())['inference']['key']}"}
    log = torchserve.run / "logs" / "server.log"
    before = len(log.read_bytes())
    for part in (
        b'Content-Disposition: form-data; name="data"; filename="x"\r\nContent-Transfer-Encoding: a\x1b[31m\x00b',
        b'Content-Disposition: form-data; name="data"; filename="x"\r\nContent-Transfer-Encoding: ' + b"x" * 2000,
        b'Content-Disposition: form-data; name="data"; filename="x"\r\nContent-Type: text/plain; charset=unheard-of',
    ):
        requests.post(
            f"{server.inference}/predictions/tiny-image",
            data=b"--edge\r\n" + part + b"\r\n\r\nx\r\n--edge--\r\n",
            headers={**headers, "Content-Type": "multipart/form-data; boundary=edge"},
            timeout=10,
        )
    end = time.monotonic() + 30  # what it logs, it writes from a thread of its own
    while log.read_bytes().count(b"\n", before) < 3 and time.monotonic() < end:
        time.sleep(0.1)
    lines = log.read_bytes()[before:].decode().splitlines()
    assert len(lines) == 3
    for line in lines:
        assert "HttpRequestHandler" in line
        assert line.isprintable()
        assert len(line) < 400


def test_the_key_file_is_the_owners_alone(torchserve: TorchServe) -> None:
    key_file = torchserve.server.key_file
    assert key_file is not None
    assert key_file.stat().st_mode & 0o077 == 0


def test_metrics(torchserve: TorchServe, rest: RestClient) -> None:
    """Stage histograms of a model, in seconds, that count this request."""
    rest.predict("tiny-image", PNG)
    time.sleep(INTERVAL + 0.5)
    state = state_of(torchserve.run) or {}
    text = requests.get(f"{state['metrics']}/metrics", timeout=10).text
    for stage in ("DecodeTime", "InferenceTime", "EncodeTime", "BatchSize"):
        [count] = [line for line in text.splitlines() if line.startswith(f'{stage}_count{{ModelName="tiny-image"')]
        assert float(count.rpartition(" ")[2]) > 0
    assert 'ts_inference_requests_total{model_name="tiny-image"' in text


def test_it_listens_on_loopback_alone(torchserve: TorchServe) -> None:
    members = family(state_of(torchserve.run))
    addresses = {c.laddr.ip for p in members for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert addresses
