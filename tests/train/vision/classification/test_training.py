"""The training itself: its loss, its learning rate, what is killed and what runs on two processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import Callback, Trainer
from torch.utils.data import DataLoader

from deploy.configuration import PROJECT
from handlers.vision.transform import ImageTransform
from tests.train.images import write_folders
from tests.train.vision.classification.command import TINY, call, write_experiment
from train.vision.classification.batches import Batch
from train.vision.classification.module import ImageClassifier, Learning


def test_the_loss_is_the_weighted_sum_of_weighted_cross_entropies() -> None:
    weights = {"a": [1.0, 2.0], "b": [1.0, 0.5, 3.0]}
    tasks = {"a": ["x", "y"], "b": ["u", "v", "w"]}
    transform = ImageTransform(resize=(32, 32)).to_dict()
    module = ImageClassifier("squeezenet1_1", tasks, transform, class_weights=weights, task_weights={"b": 0.25})
    logits = {"a": torch.randn(4, 2), "b": torch.randn(4, 3)}
    targets = {"a": torch.tensor([0, 1, 1, 0]), "b": torch.tensor([2, 0, 1, 2])}
    losses = module.losses(logits, targets)
    for task in tasks:
        own = torch.tensor(weights[task])[targets[task]]
        each = -logits[task].log_softmax(1)[torch.arange(4), targets[task]]
        torch.testing.assert_close(losses[task], (each * own).sum() / own.sum())
    torch.testing.assert_close(module.total(losses), losses["a"] + 0.25 * losses["b"])


def test_a_compiled_network_trains_as_the_other_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced as for any compiler, and run without one: compiling takes a minute."""
    write_folders(tmp_path / "images")
    compiled: list[torch.nn.Module] = []

    def traced(network: torch.nn.Module) -> None:
        compiled.append(network)
        original(network, backend="eager")

    original = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", traced)
    states = []
    for name in ("plain", "compiled"):
        data = {"folder": str(tmp_path / "images")}
        over = {"compile": name == "compiled", "trainer": {**TINY["trainer"], "epochs": 1}}
        experiment = write_experiment(tmp_path, name, data, **over)
        call(experiment, "--runs", tmp_path / "runs", "--output", tmp_path / "artifacts", "--run", "one")
        run = tmp_path / "runs" / name / "one"
        best = json.loads((run / "fit.json").read_text())["best"]
        states.append(torch.load(run / best, weights_only=True)["state_dict"])
    assert len(compiled) == 1
    assert states[0].keys() == states[1].keys()
    for name, weight in states[0].items():
        torch.testing.assert_close(states[1][name], weight, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_the_rate_rises_and_falls(schedule: Literal["cosine", "plateau"], tmp_path: Path) -> None:
    """Forty steps of which a quarter warm up; a plateau's rate falls to a tenth when validation does not improve."""
    learning = Learning(learning_rate=1.0, backbone_rate=1.0, schedule=schedule, warmup=0.25, plateau_patience=0)
    transform = ImageTransform(resize=(32, 32)).to_dict()
    module = ImageClassifier(
        "squeezenet1_1", {"t": ["a", "b"]}, transform, frozen="backbone", learning=learning.model_dump()
    )
    # A rate of 1 would explode: the head's gradients are stopped, only the schedule is watched.
    rates: list[float] = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer: Trainer, *rest: Any) -> None:
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

        def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
            optimizer.zero_grad()

    batch = Batch(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.tensor([[0], [1]]), torch.arange(2), 0)
    loader: DataLoader[Any] = DataLoader(cast(Any, [batch] * 10), batch_size=None)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=4,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Watch()],
    )
    trainer.fit(module, loader, loader)
    assert len(rates) == 40
    np.testing.assert_allclose(rates[:9], [(step + 1) / 11 for step in range(1, 10)], rtol=1e-4)
    if schedule == "cosine":
        expected = [0.5 * (1 + np.cos(np.pi * (step - 9) / 30)) for step in range(10, 39)]
        np.testing.assert_allclose(rates[10:39], expected, atol=0.02)
        assert rates[-1] < 0.02
    else:
        assert rates[12] == pytest.approx(1.0)
        assert rates[-1] <= 0.011


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on(tmp_path: Path) -> None:
    write_folders(tmp_path / "data")
    experiment = write_experiment(tmp_path, "killed", {"folder": str(tmp_path / "data"), "workers": 1})
    over = ["trainer.epochs=400", "trainer.keep=1"]
    command = [sys.executable, "-m", "train", "fit", str(experiment), *over, "--runs", str(tmp_path), "--run", "k"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    run = tmp_path / "killed" / "k"
    try:
        deadline = time.monotonic() + 120
        while not (run / "checkpoints" / "last.ckpt").is_file() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    before = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True, map_location="cpu")
    assert not (run / "fit.json").exists()
    configuration = yaml.safe_load((run / "configuration.yaml").read_text())
    configuration["trainer"]["epochs"] = before["epoch"] + 3
    (run / "configuration.yaml").write_text(yaml.safe_dump(configuration))
    call("resume", run, "--output", tmp_path / "artifacts")
    after = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True, map_location="cpu")
    fitted = json.loads((run / "fit.json").read_text())
    steps = before["global_step"] // (before["epoch"] + 1)
    assert (after["epoch"], fitted["epochs"]) == (before["epoch"] + 2, before["epoch"] + 3)
    assert after["global_step"] == before["global_step"] + 2 * steps
    moments = after["optimizer_states"][0]["state"][0]["step"]
    assert moments == after["global_step"]  # AdamW's own count went on as well
    assert (tmp_path / "artifacts" / "killed" / "artifact.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("launch", ["devices", "torchrun"])
def test_two_processes_train_and_measure_as_one(launch: str, one_process: Path, tmp_path: Path) -> None:
    """Batches of half the size on each make the same steps: the same weights and metrics; one process writes."""
    experiment = one_process / "one.yaml"
    arguments = ["run", str(experiment), "batch_size=4", "--runs", str(tmp_path), "--output", str(tmp_path / "a")]
    if launch == "devices":
        command = [sys.executable, "-m", "train", *arguments, "trainer.devices=2", "--run", "two"]
    else:
        rendezvous = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "--rdzv-id", "two"]
        start = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *rendezvous]
        command = [*start, "-m", "train", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("TRAIN_RUN", None)  # of runs that other tests made in this process
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    one, two = one_process / "runs" / "one" / "single", tmp_path / "one" / "two"
    weights = [
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True, map_location="cpu")["state_dict"]
        for run in (one, two)
    ]
    # Of single weights whose gradient is all rounding, Adam's steps are as large as any: the mean is compared.
    for name, value in weights[0].items():
        difference = (weights[1][name].double() - value.double()).abs().mean()
        assert difference < 1e-4, f"{name}: {difference}"
    assert sorted(p.name for p in (one / "checkpoints").iterdir()) == sorted(
        p.name for p in (two / "checkpoints").iterdir()
    )
    for stage in ("fit", "test"):
        found, expected = (json.loads((run / f"{stage}.json").read_text()) for run in (two, one))
        for key in ("score", "steps", "accuracy", "f1", "loss"):
            if key in expected:
                assert found[key] == pytest.approx(expected[key], abs=2e-3), key
    assert (tmp_path / "a" / "one" / "artifact.json").is_file()
    assert len(list((two / "tensorboard").glob("events.*"))) == 1


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Published weights whose batch-norm stays as it is: on a CPU torch cannot synchronise it."""
    root = tmp_path_factory.mktemp("one-process")
    write_folders(root / "data", 13)  # 39 images: validation is an odd number
    over: dict[str, Any] = {
        "model": "mobilenet_v2",
        "weights": "IMAGENET1K_V1",
        "frozen": "statistics",
        "arguments": {"dropout": 0.0},
    }
    over["trainer"] = {**TINY["trainer"], "precision": "32-true"}
    write_experiment(root, "one", {"folder": str(root / "data")}, **over)
    call(root / "one.yaml", "--runs", root / "runs", "--output", root / "artifacts", "--run", "single")
    return root
