"""Which GPUs TorchServe and its workers are told of, in any spelling; and a real server on a machine with stand-ins."""

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from client import RestClient, RestManagement
from deploy.errors import DeployError
from deploy.gpu import detect
from deploy.gpu.device import Device
from deploy.gpu.environment import DEVICES, PROGRAMS, of_torchserve, of_workers
from deploy.ports import Ports
from deploy.readiness import check_computes_on_gpu, load
from deploy.status import Status
from deploy.torchserve import TorchServe
from deploy.versions.registration import Registration
from deploy.versions.target import Target
from handlers.entry import Entry
from handlers.torchserve.progress import Progress
from tests.deploy.gpu.fake_nvml import FakeGpu, FakeNvml
from zygote.client import VARIABLES

Install = Callable[..., FakeNvml]
REPORT = """
import json, os

def handle(data, context):
    if data is None:
        return None
    names = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "BUNDLE_GPUS", "PATH", "ZYGOTE_VARIABLES")
    found = {name: os.environ.get(name) for name in names}
    return [json.dumps({**found, "gpu_id": context.system_properties.get("gpu_id")})] * len(data)
"""


def device(uuid: str) -> Device:
    return Device("H100", uuid, "580.1", (9, 0), 80, 79)


def test_torchserve_counts_what_its_workers_see_by_name() -> None:
    variables = {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "GPU-8, GPU-9"}
    own = of_torchserve([device("GPU-8"), device("GPU-9")], variables)
    assert own["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert own["PATH"] == f"{PROGRAMS}{os.pathsep}/bin"
    assert json.loads(own[VARIABLES]) == variables  # what its workers get back
    without = of_torchserve([], {"PATH": "/bin"})
    assert without["CUDA_VISIBLE_DEVICES"] == "-1"  # a number, so that it looks for none
    assert without["PATH"] == "/bin"
    assert json.loads(without[VARIABLES]) == {"CUDA_VISIBLE_DEVICES": None}


def test_workers_are_told_apart_where_there_are_several() -> None:
    assert of_workers([], {}) == {}
    assert of_workers([device("GPU-8")], {}) == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert of_workers([device("GPU-8"), device("GPU-9")], {})[DEVICES] == "GPU-8,GPU-9"
    assert of_workers([device("MIG-7")], {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}) == {
        "CUDA_DEVICE_ORDER": "FASTEST_FIRST",
        DEVICES: "MIG-7",
    }
    assert DEVICES not in of_workers([device(""), device("")], {})  # torch itself found them, and knows no names


@pytest.mark.parametrize(
    ("devices", "given", "number", "visible"),
    [
        ("MIG-a,MIG-b", 1, 0, "MIG-b"),
        ("GPU-a,GPU-b", 0, 0, "GPU-a"),
        (None, 1, 1, "all"),
        ("GPU-a,GPU-b", None, None, "all"),  # a model for the CPU
        ("GPU-a,GPU-b", -1, -1, "all"),
    ],
)
def test_a_worker_sees_its_own_gpu_alone(
    devices: str | None, given: int | None, number: int | None, visible: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the handler, and with it torch, is imported."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "all")
    monkeypatch.delenv(DEVICES, raising=False)
    if devices:
        monkeypatch.setenv(DEVICES, devices)
    seen: list[str] = []

    class Worker:
        def initialize(self, context: Any) -> None:
            seen.append(os.environ["CUDA_VISIBLE_DEVICES"])

    def imported(name: str) -> Any:
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
        return SimpleNamespace(Worker=Worker, install=lambda context: None, share=lambda archive: None)

    monkeypatch.setattr("handlers.entry.import_module", imported)
    properties: dict[str, Any] = {"gpu_id": given, "model_dir": "m", "batch_size": 1}
    settings = {"handler": {"class": "a.Worker", "request_s": 1.0}, "responseTimeout": 9, "maxBatchDelay": 1}
    context = SimpleNamespace(
        model_name="a",
        system_properties=properties,
        model_yaml_config=settings,
        manifest={"model": {"handler": "entry.py"}},
    )
    Entry().initialize(context)
    assert properties["gpu_id"] == number
    assert seen == [visible] * 4
    # What another worker is told that takes over from this one, and sees its GPUs by the same environment.
    progress = Progress()
    progress.describe(context)
    assert progress.described["load"]["gpu"] == given


def test_of_the_entry_nothing_is_imported_that_asks_cuda() -> None:
    code = "import sys, handlers.entry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("card", "refused"),
    [({"runtime": {"device": "cpu"}}, True), ({"runtime": {"device": "cuda:0"}}, False), ({}, False), (None, False)],
)
def test_a_model_that_is_on_the_cpu_after_all_is_an_error(card: dict[str, Any] | None, refused: bool) -> None:
    archive: Any = SimpleNamespace(name="model", version="1.0", card={"name": "model"})
    described = SimpleNamespace(card=card)
    management: Any = SimpleNamespace(describe=lambda name, version, card: described)
    with (
        pytest.raises(DeployError, match=r"model is to compute on a GPU.*driver 580.*7\.5")
        if refused
        else nullcontext()
    ):
        check_computes_on_gpu(management, archive)


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Calls of the machine's own, as lines of a file."""
    calls = tmp_path / "calls"
    calls.touch()
    command = tmp_path / "bin" / "nvidia-smi"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\necho \"$*\" >> {calls}\nsleep 0.1\nprintf 'index\\n0\\n1\\n2\\n3\\n'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent), prepend=os.pathsep)
    return calls


def test_the_stand_in_passes_on_what_it_is_not_for(nvidia_smi: Path) -> None:
    variables = {**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}

    def ask(*arguments: str) -> str:
        command = ["nvidia-smi", *arguments]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout

    assert ask("--query-gpu=index", "--format=csv").startswith("index\n0\n")
    assert nvidia_smi.read_text() == "--query-gpu=index --format=csv\n"
    head, values = ask(
        "-i", "1", "--query-gpu=utilization.gpu,utilization.memory,memory.used", "--format=csv"
    ).splitlines()
    assert len(head.split(",")) == len(values.split(",")) == 3
    assert len(nvidia_smi.read_text().splitlines()) == 1


@pytest.fixture
def reporting(tmp_path: Path) -> Path:
    """A store with an archive that reports what its worker sees, and the same for the CPU."""
    store = tmp_path / "store"
    store.mkdir()
    report_archive(store / "report.mar")
    report_archive(store / "on-cpu.mar", "deviceType: cpu\n")
    return store


def report_archive(path: Path, settings: str = "") -> Path:
    model = {"modelName": path.stem, "modelVersion": "1.0", "handler": "report.py", "configFile": "model-config.yaml"}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", json.dumps({"runtime": "python", "model": model}))
        file.writestr("report.py", REPORT)
        file.writestr("model-config.yaml", f"minWorkers: 1\nmaxWorkers: 1\nbatchSize: 1\nmaxBatchDelay: 1\n{settings}")
    return path


@pytest.mark.e2e
def test_a_server_on_two_gpus_of_four(
    install: Install, reporting: Path, nvidia_smi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(*(FakeGpu(f"GPU-{name}") for name in ("a", "b", "c", "d")))
    monkeypatch.setenv(detect.VISIBLE, "3, 1,")
    path = os.environ["PATH"]
    archives = sorted(reporting.glob("*.mar"))
    with TorchServe(reporting, tmp_path / "run", Ports.free()) as torchserve:
        load(torchserve.run, archives)
        status = Status(torchserve.server, reporting, ["report", "on-cpu"])
        before = time.monotonic()
        assert status.look()
        assert time.monotonic() - before < 2
        with RestManagement(torchserve.server) as management:
            assert [worker.gpu for worker in management.describe("report").workers] == [True, True]
            assert [worker.gpu for worker in management.describe("on-cpu").workers] == [False]
        with RestClient(torchserve.server) as client:
            said = {str(row["gpu_id"]): row for row in (client.predict("report", b"x").json() for _ in range(20))}
            [on_cpu] = [client.predict("on-cpu", b"x").json()]
        monkeypatch.setenv(detect.VISIBLE, "")  # of whoever registers a model: the GPUs are the server's
        later = report_archive(tmp_path / "later.mar")
        target = Target("server", torchserve.server, run=torchserve.run, store=reporting)
        assert Registration(later).on([target], lambda line: None) == "later"
        with RestManagement(torchserve.server) as management:
            assert [worker.gpu for worker in management.describe("later").workers] == [True, True]
    assert set(said) == {"0", "1"}
    assert on_cpu["gpu_id"] is None
    for row in (*said.values(), on_cpu):
        assert row["CUDA_VISIBLE_DEVICES"] == "3, 1,"
        assert row["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
        assert row["BUNDLE_GPUS"] == "GPU-d,GPU-b"
        assert row["PATH"] == path  # with the machine's own nvidia-smi
        assert row["ZYGOTE_VARIABLES"] is None
    assert nvidia_smi.read_text() == ""  # not one call, by start, readiness or status


@pytest.mark.e2e
def test_no_server_starts_on_a_gpu_that_torch_cannot_use(install: Install, reporting: Path, tmp_path: Path) -> None:
    install(FakeGpu("GPU-a"), driver="570.1")
    with pytest.raises(DeployError, match="driver 580"):
        TorchServe(reporting, tmp_path / "run", Ports.free()).start()
    assert not (tmp_path / "run" / "tmp").exists()
