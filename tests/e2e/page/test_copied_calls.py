"""The calls that the page copies, run as they are."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format

from client.stubs.inference_pb2 import PredictionsRequest
from client.stubs.inference_pb2_grpc import InferenceAPIsServiceStub
from deploy.archive import Archive
from deploy.torchserve import TorchServe
from tests.closeness import assert_close
from tests.page.visit import Visit

QUOTED = 'It\'s "quoted" & $HOME, `ünïcode` 🚉\n@second\\line'
PYTHON = sys.executable


@pytest.mark.parametrize("name", ["tiny-image", "tiny-topics", "tiny-policy", "tiny-writer"])
def test_the_copied_calls_give_the_same_answer(
    visitor: Visit, key: str, torchserve: TorchServe, tiny_archive: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    visitor.choose(name)
    visitor.take_sample()
    if name == "tiny-image":
        visitor.page.locator("summary", has_text="Parameters").click()
        visitor.page.get_by_label("top_k").fill("2")
    if name == "tiny-topics":
        visitor.page.locator("form textarea").first.fill(QUOTED)
    wanted = visitor.ask()
    sample = Archive.read(tiny_archive(name)).sample(tmp_path)
    shell = Shell(tmp_path, KEY=key, TORCHSERVE_SERVER_FILE=str(torchserve.run / "server.json"))
    curl, python = shell.run("bash", "-c", visitor.copied("curl")), shell.run(PYTHON, "-c", visitor.copied("Python"))
    script = visitor.copied("JavaScript").replace("console.log(", "return (")
    file = "const file = new Blob([new Uint8Array(data)], {type: 'image/png'})"
    given = [key, list(sample.read_bytes())]
    javascript = visitor.page.evaluate(f"async ([key, data]) => {{ {file}; {script} }}", given)
    # Without grpcurl: what a shell would give it.
    message = shell.run("bash", "-c", f"grpcurl() {{ cat; }}\n{visitor.copied('grpcurl')}")
    request = json_format.Parse(message, PredictionsRequest())
    with grpc.insecure_channel(torchserve.server.grpc) as channel:
        bearer = [("authorization", f"Bearer {key}")]
        answered = InferenceAPIsServiceStub(channel).Predictions(request, metadata=bearer, timeout=60).prediction
    assert torchserve.server.grpc in visitor.copied("grpcurl")
    if name == "tiny-writer":  # in pieces, but over gRPC
        assert joined(curl) == joined(javascript) == python == json.loads(answered)["text"] == wanted["text"]
    else:
        for found in (json.loads(curl), json.loads(python), javascript, json.loads(answered)):
            assert_close(found, wanted)


class Shell:
    """Runs what was copied in a folder with the sample."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), **environment}

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def joined(lines: str) -> str:
    return "".join(json.loads(line)["text"] for line in lines.splitlines())
