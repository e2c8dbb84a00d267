"""`status` of a real server: counters, rates, the table, the command."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from client import GrpcClient, InvalidInput, RestClient
from client.explanations import explainer_of
from deploy.configuration import PROJECT, read
from deploy.overview.look import Look, look
from deploy.overview.rates import Interval
from deploy.overview.table import overview
from deploy.torchserve import TorchServe
from tests.e2e.conftest import EXPLAINED
from tests.tiny_artifacts import TINY

SERVED = {*TINY, *map(explainer_of, EXPLAINED)}
REPORTED = 2.5  # seconds: workers report what they counted once a second


def seen(run: Path) -> Look:
    found = look(run)
    assert found is not None
    return found


def status(run: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy", "status", *arguments]
    environment = {**os.environ, "BUNDLE_RUN": str(run)}
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60)


def test_requests_of_both_protocols_are_counted(torchserve: TorchServe) -> None:
    time.sleep(REPORTED)
    before = seen(torchserve.run)
    with RestClient(torchserve.server) as rest, GrpcClient(torchserve.server) as grpc:
        for client, times in ((rest, 4), (grpc, 3)):
            for _ in range(times):
                client.predict("tiny-policy", {"data": [0, 0, 0, 0]})
            with pytest.raises(InvalidInput):
                client.predict("tiny-policy", {"data": [0, 0, 0]})
    time.sleep(REPORTED)
    interval = Interval(before, seen(torchserve.run))
    found = interval.of_model("tiny-policy", "1.0")
    assert round(found.requests * interval.seconds) == 9
    assert round(found.refused * interval.seconds) == 2
    assert found.failed == 0
    assert found.mean_ms is not None
    assert 0 < found.mean_ms < 1000
    idle = interval.of_model("tiny-values", "1.0")
    assert (idle.requests, idle.mean_ms) == (0, None)


def test_what_one_look_shows(torchserve: TorchServe) -> None:
    found = seen(torchserve.run)
    assert {model.name for model in found.models} == SERVED
    queue = int(read(torchserve.run / "config.properties")["job_queue_size"])
    for model in found.models:
        assert (model.version, model.default, model.up, model.asked) == ("1.0", True, 1, 1)
        assert (model.pending, model.capacity) == (0, queue)
        assert 10 * 2**20 < model.memory < 2**31  # a worker's own and its share of what workers share
    assert found.uptime > 0
    assert found.memory > 50 * 2**20
    assert found.edge is None


def test_the_table_and_the_json(torchserve: TorchServe) -> None:
    done = status(torchserve.run, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {model["name"] for model in document["models"]} == SERVED
    assert document["models"][0]["workers"] == {"up": 1, "asked": 1}
    assert set(document["models"][0]["rates"]) == {"requests", "refused", "failed", "mean_ms"}
    written = io.StringIO()
    console = Console(width=160, file=written)
    found = seen(torchserve.run)
    time.sleep(0.1)
    console.print(overview(Interval(found, seen(torchserve.run))))
    [row] = [line for line in written.getvalue().splitlines() if line.startswith("tiny-policy")]
    assert row.split()[:4] == ["tiny-policy", "1.0", "*", "1/1"]
    assert row.rstrip().endswith("MiB")


def test_watching_ends_cleanly_with_ctrl_c(torchserve: TorchServe) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy", "status", "--watch", "0.5"],
        cwd=PROJECT,
        env={**os.environ, "BUNDLE_RUN": str(torchserve.run)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    lines: list[str] = []
    while sum("tiny-policy" in line for line in lines) < 2:  # it has looked again
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")
