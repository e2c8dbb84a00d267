"""The machine's gauges for Prometheus, with GPUs of all kinds; NVIDIA's library is a stand-in."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from deploy.hardware import Hardware
from tests.deploy.gpu.fake_nvml import GIGABYTE, FakeGpu, installer


def registry() -> CollectorRegistry:
    found = CollectorRegistry()
    found.register(Hardware())
    return found


def test_what_one_gpu_does_not_report_costs_one_gauge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = installer(monkeypatch, tmp_path)(
        FakeGpu("GPU-0"),
        FakeGpu("GPU-1", measures_utilization=False, mig=True),
        FakeGpu("GPU-2", lost=True),
        FakeGpu("GPU-3", "NVIDIA GB10", has_memory=False),
    )
    metrics = registry()

    def value(name: str, device: int) -> float | None:
        return metrics.get_sample_value(f"bundle_gpu_{name}", {"device": str(device)})

    assert [value("utilization", device) for device in range(4)] == [0.87, None, None, 0.87]
    assert [value("memory_used_bytes", device) for device in range(4)] == [GIGABYTE, GIGABYTE, None, None]
    assert value("memory_utilization", 0) == pytest.approx(1 / 80)
    library.gpus[0].has_memory = library.gpus[0].measures_utilization = False  # it falls off while the server runs
    assert value("utilization", 0) is None
    assert metrics.get_sample_value("bundle_memory_used_bytes") is not None


def test_without_a_driver_there_are_the_cores_and_the_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installer(monkeypatch, tmp_path)(FakeGpu("GPU-0"), answers=False)
    metrics = registry()
    assert metrics.get_sample_value("bundle_cpu_utilization") is not None
    assert metrics.get_sample_value("bundle_gpu_utilization", {"device": "0"}) is None
