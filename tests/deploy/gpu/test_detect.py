"""The GPUs that a server uses, on machines of all kinds; NVIDIA's library is a stand-in."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from deploy.errors import DeployError
from deploy.gpu import detect
from deploy.gpu.detect import usable
from tests.deploy.gpu.fake_nvml import GIGABYTE, FakeGpu, FakeNvml

Install = Callable[..., FakeNvml]


def test_every_gpu_with_its_memory(install: Install) -> None:
    install(FakeGpu("GPU-1"), FakeGpu("GPU-2", "NVIDIA L4", (8, 9), free=3 * GIGABYTE, mig=None))
    first, second = usable()
    assert (first.uuid, first.capability, first.free) == ("GPU-1", (9, 0), 79 * GIGABYTE)
    assert (second.name, second.free) == ("NVIDIA L4", 3 * GIGABYTE)


@pytest.mark.parametrize(
    ("visible", "found"), [("1", ["GPU-2"]), ("GPU-2,GPU-1", ["GPU-2", "GPU-1"]), ("0, 1", ["GPU-1", "GPU-2"])]
)
def test_those_that_are_visible(
    visible: str, found: list[str], install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(FakeGpu("GPU-1"), FakeGpu("GPU-2"))
    monkeypatch.setenv(detect.VISIBLE, visible)
    assert [device.uuid for device in usable()] == found


@pytest.mark.parametrize(
    ("gpu", "driver", "wanted"),
    [
        (FakeGpu("GPU-1"), "570.124.06", "install driver 580 or newer"),
        (FakeGpu("GPU-1", "Tesla V100", (7, 0)), "580.65.06", "compute capability 7.5 or newer"),
        (FakeGpu("GPU-1", "Tesla K80", (3, 7), mig=None), "470.1", "install driver 580"),
    ],
)
def test_one_that_torch_cannot_use_is_an_error(gpu: FakeGpu, driver: str, wanted: str, install: Install) -> None:
    install(gpu, driver=driver)
    with pytest.raises(DeployError, match=wanted) as raised:
        usable()
    assert gpu.name in str(raised.value)
    assert f"driver {driver}" in str(raised.value)
    assert "CUDA_VISIBLE_DEVICES= serves on the CPU" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("visible", ["", "-1", "none", "0,0"])
def test_who_hides_it_gets_the_cpu(visible: str, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(FakeGpu("GPU-1"), driver="470.1")
    monkeypatch.setenv(detect.VISIBLE, visible)
    assert usable() == []


def test_those_of_another_process(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(FakeGpu("GPU-1"), FakeGpu("GPU-2"))
    monkeypatch.setenv(detect.VISIBLE, "")
    assert [device.uuid for device in usable({})] == ["GPU-1", "GPU-2"]
    assert [device.uuid for device in usable({detect.VISIBLE: "1"})] == ["GPU-2"]


def test_another_that_is_hidden_may_be_old(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install(FakeGpu("GPU-1", "Tesla P4", (6, 1)), FakeGpu("GPU-2"))
    monkeypatch.setenv(detect.VISIBLE, "1")
    assert [device.uuid for device in usable()] == ["GPU-2"]


def test_a_gpu_in_mig_mode_is_its_slices(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    slices = [
        FakeGpu(f"MIG-{name}", "NVIDIA H100 MIG 3g.40gb", free=39 * GIGABYTE, mig=None, instance=(number, 0))
        for number, name in enumerate(("aa", "bb"))
    ]
    install(FakeGpu("GPU-1", mig=True, slices=slices), FakeGpu("GPU-2"))
    assert [device.uuid for device in usable()] == ["MIG-aa", "MIG-bb", "GPU-2"]
    assert usable()[0].free == 39 * GIGABYTE
    for visible, found in (("MIG-bb", ["MIG-bb"]), ("0", ["MIG-aa", "MIG-bb"]), ("MIG-GPU-1/1/0", ["MIG-bb"])):
        monkeypatch.setenv(detect.VISIBLE, visible)
        assert [device.uuid for device in usable()] == found


def test_mig_mode_without_a_slice(install: Install) -> None:
    install(FakeGpu("GPU-1", mig=True))
    with pytest.raises(DeployError, match="nvidia-smi mig"):
        usable()


def test_a_gpu_without_memory_of_its_own(install: Install) -> None:
    install(FakeGpu("GPU-1", "NVIDIA GB10", (12, 1), has_memory=False))
    assert usable()[0].free is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("options", [{"answers": False}, {"lost": True}])
def test_a_driver_that_does_not_answer_is_an_error(options: dict[str, bool], install: Install) -> None:
    """Its library and its module are of different versions, say; then torch itself is asked, which has the reason."""
    install(FakeGpu("GPU-1", lost="lost" in options), answers=options.get("answers", True))
    with pytest.raises(DeployError, match=r"torch finds no GPU: .*driver 580") as raised:
        usable()
    assert "CUDA_VISIBLE_DEVICES= serves" in str(raised.value)


def test_no_driver_and_a_torch_for_cpus(install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(FakeGpu("GPU-1"))
    package = tmp_path / "torch" / "__init__.py"
    package.parent.mkdir()
    package.touch()
    version = package.with_name("version.py")
    monkeypatch.setattr(detect, "find_spec", lambda name: type("Spec", (), {"origin": str(package)}))
    version.write_text("__version__ = '2.11.0+cpu'\ncuda = None\nhip = None\n")
    assert usable() == []
    version.write_text("__version__ = '2.11.0+cu130'\ncuda = '13.0'\nhip = None\n")
    assert len(usable()) == 1
    monkeypatch.setattr(detect, "DRIVERS", (tmp_path / "nothing",))
    assert usable() == []


def test_this_torch_was_built_for_gpus() -> None:
    assert detect.torch_has_gpus() == bool(torch.version.cuda or torch.version.hip)
