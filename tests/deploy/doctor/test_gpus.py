"""The doctor's findings about GPUs, made up here, and about this machine's torch."""

import json
import os
from pathlib import Path

import pytest

from deploy.configuration import PROJECT
from deploy.doctor import gpus
from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import Level
from tests.deploy.doctor.test_findings import levels


@pytest.mark.parametrize(
    ("driver", "capability", "level", "remedy"),
    [
        ("580.65.06", "9.0", Level.OK, ""),
        ("580.65.06", "7.5", Level.OK, ""),
        ("581.15", "12.0", Level.OK, ""),
        ("570.124.06", "9.0", Level.PROBLEM, "install driver 580"),
        ("580.65.06", "7.0", Level.PROBLEM, "7.5 or newer"),
    ],
)
def test_a_gpu_by_its_driver_and_capability(driver: str, capability: str, level: Level, remedy: str) -> None:
    finding = gpus.judged("GPU 0", gpus.Gpu("NVIDIA H100 80GB HBM3", 81559, driver, capability))
    assert finding.level is level
    assert remedy in finding.remedy
    assert finding.text == f"NVIDIA H100 80GB HBM3, 80 GiB, driver {driver}, compute capability {capability}"


def test_what_nvidia_smi_prints() -> None:
    text = "NVIDIA H100 80GB HBM3, 81559, 580.65.06, 9.0\nNVIDIA H100 MIG, [N/A], 580.65.06, 9.0\n"
    assert [(gpu.name, gpu.memory) for gpu in gpus.parsed(text)] == [
        ("NVIDIA H100 80GB HBM3", 81559),
        ("NVIDIA H100 MIG", 0),
    ]


@pytest.mark.parametrize(
    ("output", "level", "text"),
    [
        ({"devices": [True, True], "why": ""}, Level.OK, "computes on 2 of 2"),
        ({"devices": [], "why": "The NVIDIA driver on your system is too old"}, Level.PROBLEM, "driver on your system"),
        ({"devices": [True, "no kernel image is available"], "why": ""}, Level.PROBLEM, "GPU 1: no kernel image"),
        ({"devices": [], "why": ""}, Level.PROBLEM, "torch sees no GPU"),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_a_problem(output: dict[str, object], level: Level, text: str) -> None:
    finding = gpus.tried(f"a line of a library\n{json.dumps(output)}\n", 2)
    assert finding.level is level
    assert text in finding.text


def test_torch_is_really_tried(checkout: Checkout) -> None:
    """With this environment's torch, which on a machine without a GPU has a reason."""
    import torch

    real = Checkout(PROJECT, checkout.run)
    [finding] = gpus.usable(real, 1)
    assert (finding.level is Level.OK) == torch.cuda.is_available()
    if finding.level is Level.PROBLEM:
        assert len(finding.text) > 10
    assert levels(gpus.usable(checkout, 1)) == [Level.NOTE]  # no torch there


def test_a_driver_that_fails_is_not_silent(checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\necho 'Failed to initialize NVML: Driver/library version mismatch'\nexit 18\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(gpus, "by_library", list)
    [finding] = gpus.gpus(checkout)
    assert finding.level is Level.PROBLEM
    assert "version mismatch" in finding.text


def test_nvidias_cards_on_the_bus(tmp_path: Path) -> None:
    cards = {"gpu": ("0x10de", "0x030200"), "its-audio": ("0x10de", "0x040300"), "other": ("0x8086", "0x030000")}
    for name, (vendor, kind) in cards.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(vendor + "\n")
        (tmp_path / name / "class").write_text(kind + "\n")
    assert gpus.pci_cards(tmp_path) == 1
    assert gpus.pci_cards(tmp_path / "no-bus") == 0


@pytest.mark.parametrize(
    ("visible", "text"),
    [("GPU-12ab", "decides"), ("MIG-1", "decides"), ("0, 1", "decides"), ("", "hides them all"), ("-1", "hides")],
)
def test_cuda_visible_devices(visible: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    [finding] = gpus.visibility()
    assert finding.level is Level.NOTE
    assert text in finding.text
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert levels(gpus.visibility()) == []
