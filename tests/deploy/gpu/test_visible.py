"""CUDA_VISIBLE_DEVICES in every spelling, beside torch's own reading of it."""

import random

import pytest
import torch

from deploy.gpu.device import Device
from deploy.gpu.visible import parse, select

SPELLINGS = (
    *(
        "0",
        "1",
        "0,1",
        "1,0",
        "0, 1",
        " 0 ,\t1 ",
        "0,1,",
        ",0",
        "0,,1",
        "",
        " ",
        "-1",
        "0,-1,1",
        "+1",
        "2,+2",
        "0,0",
        "1,2,1",
    ),
    *("1gpu2,2ampere", "0x1", "two", "NoDevFiles", "all", "void", "none", "64", "007", "1.5", "99999999999"),
    *("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "GPU-89", "GPU-89,GPU-a1", "GPU-89, GPU-a1", "GPU-89,0", "0,GPU-89"),
    *("GPU-89,GPU-89", "GPU-89,MIG-1", "GPU-89,", " GPU-89", "gpu-89", "GPU-", "GPU-89,GPU-89,GPU-a1"),
    *("MIG-f3a1", "MIG-f3a1,MIG-07", "MIG-GPU-89/1/0", "MIG-1,MIG-1", "MIG-1,2", "MIG-"),
)


def torchs(text: str, monkeypatch: pytest.MonkeyPatch) -> list[int] | list[str]:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
    return torch.cuda._parse_visible_devices()


@pytest.mark.parametrize("text", SPELLINGS)
def test_it_is_read_as_torch_reads_it(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse(text) == torchs(text, monkeypatch)


def test_random_spellings_are_read_as_torch_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    random_ = random.Random(0)
    parts = ("0", "1", "2", "13", ",", ",", ",", " ", "-", "+", "GPU-", "MIG-", "a", "b7", "/", ".")
    read = 0
    for _ in range(3000):
        text = "".join(random_.choices(parts, k=random_.randint(1, 9)))
        try:
            expected = torchs(text, monkeypatch)
        except ValueError:  # of a sign alone, which torch fails on
            assert isinstance(parse(text), list)
            continue
        assert parse(text) == expected, text
        read += 1
    assert read > 2000


def gpu(uuid: str, *slices: Device, alias: str = "") -> Device:
    return Device("H100", uuid, "580.1", (9, 0), 80, 79, alias, bool(slices), slices)


FIRST, SECOND, THIRD = gpu("GPU-89aa-1"), gpu("GPU-89bb-2"), gpu("GPU-c0de-3")


@pytest.mark.parametrize(
    "text",
    [
        *SPELLINGS,
        *("0,1,2,3", "2,1", "3,0", "GPU-c0de,GPU-89aa", "GPU-c0de,GPU-89", "GPU-89aa,GPU-89aa-1", "GPU-89,GPU-c0de"),
    ],
)
def test_of_these_gpus_those_are_chosen_that_torch_chooses(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = [FIRST, SECOND, THIRD]
    monkeypatch.setattr(torch.cuda, "_raw_device_count_nvml", lambda: len(machine))
    monkeypatch.setattr(torch.cuda, "_raw_device_uuid_nvml", lambda: [one.uuid for one in machine])
    if text.startswith("MIG-"):  # which torch leaves to CUDA
        assert select(text, machine) == []
        return
    chosen = torchs(text, monkeypatch)
    if chosen and isinstance(chosen[0], str):
        chosen = torch.cuda._transform_uuid_to_ordinals([str(one) for one in chosen], [one.uuid for one in machine])
    found = select(text, machine)
    assert len(found) == torch.cuda._device_count_nvml()
    assert found == [machine[int(index)] for index in chosen[: len(found)]]


def test_without_the_variable_all_are_visible() -> None:
    assert select(None, [FIRST, SECOND]) == [FIRST, SECOND]


def test_slices_by_their_names() -> None:
    slices = [
        gpu(f"MIG-{name}", alias=f"MIG-GPU-89aa-1/{number}/0") for number, name in enumerate(("f3a1", "f3b2", "07"))
    ]
    machine = [gpu("GPU-89aa-1", *slices), SECOND]
    assert select("MIG-07,MIG-f3a1", machine) == [slices[2], slices[0]]
    assert select("MIG-f3", machine) == []  # one or the other
    assert select("MIG-f3a1,MIG-ff,MIG-07", machine) == [slices[0]]
    assert select("MIG-GPU-89aa-1/2/0", machine) == [slices[2]]
    assert select("MIG-07,MIG-GPU-89aa-1/2/0", machine) == []  # twice the same
    assert select("0,1", machine) == machine
