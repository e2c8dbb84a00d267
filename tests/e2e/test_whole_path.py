"""Train, export, archive, register with a running server, predict: the commands a user types, on a tiny budget."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from client import GrpcClient, RestClient, RestManagement
from deploy.configuration import PROJECT
from deploy.run_folder import STATE
from deploy.torchserve import TorchServe
from tests.inputs import OBSERVATIONS


def command(*arguments: str | Path) -> str:
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_train_export_archive_serve_predict(torchserve: TorchServe, tmp_path: Path) -> None:
    experiment = tmp_path / "balance.yaml"
    experiment.write_text("system: ppo\nlabels: [left, right]\ntotal_steps: 1024\nevaluation_episodes: 3\n")
    spec = tmp_path / "specs" / "balance.yaml"
    spec.parent.mkdir()
    spec.write_text("task: policy\nbatch:\n  size: 8\n")
    command("train", experiment, "--output", tmp_path, "--runs", tmp_path / "runs")
    command("archiver", "build", spec, "--artifacts", tmp_path, "--store", tmp_path)
    shutil.copy(tmp_path / "balance.mar", torchserve.store)
    program = torch.export.load(tmp_path / "balance" / "weights.pt2").module()
    with RestManagement(torchserve.server) as management:
        management.register("balance.mar")
        try:
            check(torchserve, program)
        finally:
            management.unregister("balance")
            (torchserve.store / "balance.mar").unlink()


def check(torchserve: TorchServe, program: torch.nn.Module) -> None:
    with torch.inference_mode():
        logits = program(torch.from_numpy(OBSERVATIONS))[0].softmax(1).numpy()
    with RestClient(torchserve.server) as rest, GrpcClient(torchserve.server) as grpc:
        for client in (rest, grpc):
            for observation, expected in zip(OBSERVATIONS, logits, strict=True):
                answer = client.predict("balance", {"data": observation.tolist()}).json()
                np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
                assert answer["label"] == ["left", "right"][answer["action"]]


@pytest.mark.parametrize("protocol", [[], ["--grpc"]])
def test_from_the_shell(torchserve: TorchServe, protocol: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHSERVE_SERVER_FILE", str(torchserve.run / STATE))

    def predict(*arguments: str) -> subprocess.CompletedProcess[str]:
        call = [str(PROJECT / "scripts" / "predict"), *arguments, *protocol]
        return subprocess.run(call, capture_output=True, text=True, timeout=60)

    done = predict("tiny-text", "Where is the station?", "--param", "top_k=1")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["predictions"]) == 1
    refused = predict("tiny-policy", "[1, 2]")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("422 InvalidInput: ")
