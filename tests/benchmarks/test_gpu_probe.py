"""The part of the GPU benchmark that describes machine, decoders and archives, as far as it runs on a CPU."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import machine, odd_files, probe
from benchmarks.gpu.archives import compare, measured, numbers
from benchmarks.gpu.colours import by_torchvision, difference
from benchmarks.images import images
from benchmarks.models import PROJECT
from tests.deploy.gpu.fake_nvml import FakeGpu, installer

CPU = torch.device("cpu")


def test_the_machine_by_its_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installer(monkeypatch, tmp_path)(FakeGpu("GPU-1"), driver="580.65.06")
    found = machine.facts()
    assert (found["driver"], found["compute capability"]) == ("580.65.06", "9.0")
    assert found["PCIe generation, lanes"] == machine.UNKNOWN  # the stand-in's driver has no such function
    assert str(len(os.sched_getaffinity(0))) in found["processor"]


def test_a_machine_without_a_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installer(monkeypatch, tmp_path)(answers=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = machine.facts()
    assert "driver" not in found
    assert found["one call of nvidia-smi"] == "nvidia-smi is not on the PATH"
    assert machine.commit(tmp_path) == "no commit"


def test_the_commit_is_that_of_the_checkout() -> None:
    if not (PROJECT / ".git").exists():
        pytest.skip("not a checkout")
    command = ["git", "rev-parse", "HEAD"]
    head = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert head.startswith(machine.commit(PROJECT).removesuffix("+"))


def test_colours_are_compared_with_libjpeg_turbo() -> None:
    files = images()[:3]
    same = difference("torchvision's", lambda some: by_torchvision(some, CPU), files)
    assert (same.mean, same.largest) == (0.0, 0)  # torchvision has libjpeg-turbo on a CPU as well
    other = difference("brighter", lambda some: by_torchvision(some, CPU).clamp(max=253) + 2, files)
    assert other.mean == pytest.approx(2, abs=0.1)
    assert other.largest == 2


def test_unusual_files_are_what_their_names_say() -> None:
    found = {name: odd_files.outcome(data, CPU) for name, data in odd_files.cases().items()}
    refused = {name for name, each in found.items() if each["cpu"] != "decodes"}
    assert refused == {"empty Huffman tables"}
    assert all(each["gpu"].startswith("refuses") for each in found.values())  # there is no GPU to decode them


def test_a_file_that_ends_or_hangs_the_process_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import os, sys, time; os.abort() if sys.argv[1] == 'aborts' else time.sleep(60) if sys.argv[1] == 'hangs' "
        'else print(\'{"cpu": "decodes", "gpu": "decodes"}\')'
    )
    monkeypatch.setattr(odd_files, "PATIENCE", 2.0)
    found = list(odd_files.outcomes(["aborts", "hangs", "fine"], CPU, (sys.executable, "-c", code)))
    assert found == [
        ("aborts", "", "ends the process with status -6"),
        ("hangs", "", "hangs: no answer within 2 s"),
        ("fine", "decodes", "decodes"),
    ]


def test_an_archive_on_two_devices(tiny_archive: Callable[[str], Path]) -> None:
    found = compare(tiny_archive("tiny-policy"), CPU)
    assert (found["model"], found["same_fields"], found["waits"]) == ("tiny-policy", True, None)
    assert found["difference"] < 1e-6
    assert found["runtime"]["device"] == "cpu"
    assert all(value > 0 for times in (found["cpu_ms"], found["device_ms"]) for value in times.values())
    assert numbers({"a": [1, {"b": 2.5}], "c": "3", "d": True}) == {".a[0]": 1.0, ".a[1].b": 2.5}


def test_the_probe_has_a_table_for_each_part(
    tiny_archive: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.mar"
    broken.write_bytes(b"nothing")
    monkeypatch.setattr(probe, "cases", lambda: {"4:4:4": b""})
    facts, colours, files, archives = probe.probe([tiny_archive("tiny-policy"), broken], CPU)
    assert facts.startswith("| machine |  |\n| --- | --- |\n")
    assert colours.startswith("Not probed: ")  # no nvJPEG on a CPU
    assert "| 4:4:4 | decodes | refuses: " in files
    measured_row, broken_row = archives.splitlines()[2:]
    assert measured_row.startswith("| tiny-policy | ")
    assert measured_row.count("|") == broken_row.count("|") == archives.splitlines()[0].count("|")
    assert "cannot be read as a zip" in broken_row
    assert "error" in next(measured([broken], CPU))
