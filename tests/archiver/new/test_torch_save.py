"""State dicts of torch.save that mean harm: one sentence, in bounded time and memory, and nothing runs."""

import os
import pickle
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.serialization import MAGIC_NUMBER, PROTOCOL_VERSION

from archiver.errors import SpecError
from archiver.new.torch_save import INSIDE, tensors_of, unpickled


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


def holding_itself() -> Any:
    found: dict[str, Any] = {}
    found["model"] = found
    return found


def shared() -> Any:
    """Nine ways to each of twelve levels."""
    found: Any = {}
    for _ in range(12):
        found = dict.fromkeys(INSIDE, found)
    return found


def nested() -> Any:
    found: Any = {"epoch": 1}
    for _ in range(300):
        found = {"model": found}
    return found


STATES: dict[str, tuple[Callable[[], Any], str]] = {
    "holds itself": (holding_itself, "holds no state dict"),
    "shared": (shared, "holds no state dict"),
    "nested": (nested, "holds no state dict"),
    "expanded": (lambda: {"w": torch.zeros(1).expand(1 << 40)}, r"its tensors need 4\.4e\+12 bytes"),
    "meta": (
        lambda: {"w": torch.empty(1 << 20, 1 << 20, device="meta")},
        "'w' is a sparse, quantized, nested or empty",
    ),
    "sparse": (lambda: {"w": torch.eye(3).to_sparse()}, "'w' is a sparse"),
    "quantized": (lambda: {"w": torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.qint8)}, "'w' is a sparse"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", STATES)
def test_states_that_are_refused(name: str, tmp_path: Path) -> None:
    make, message = STATES[name]
    torch.save(make(), tmp_path / "x.pth")
    started = time.monotonic()
    with pytest.raises(SpecError, match=message):
        unpickled(tmp_path / "x.pth")
    assert time.monotonic() - started < 10


def test_a_bomb_is_not_inflated(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(16 << 20)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert unpickled(tmp_path / "plain.pth")[0]["w"].numel() == 16 << 20
    with pytest.raises(SpecError, match="the file expands from"):
        unpickled(tmp_path / "x.pth")


@pytest.mark.parametrize("place", ["zip", "legacy", "header", "keys"])
def test_nothing_of_a_pickle_runs(place: str, tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "x.pth"
    payload, sizes = Payload(marker), {"protocol_version": PROTOCOL_VERSION, "little_endian": True, "type_sizes": {}}
    parts: dict[str, list[Any]] = {"header": [payload, {}, []], "keys": [sizes, {}, payload]}
    if place in parts:
        content = [MAGIC_NUMBER, PROTOCOL_VERSION, *parts[place]]
        path.write_bytes(b"".join(pickle.dumps(each, protocol=2) for each in content))
    else:
        torch.save({"w": payload}, path, _use_new_zipfile_serialization=place == "zip")
    with pytest.raises(SpecError, match=r"makes objects of posix\.system, which would run its code"):
        unpickled(path)
    assert not marker.exists()


def test_the_evaluated_weights_come_first() -> None:
    one, other = {"w": torch.ones(1)}, {"w": torch.zeros(1)}
    assert tensors_of({"state_dict": other, "epoch": 3, "ema": {"module": one}}) == ("ema", one)
    assert tensors_of(one) == ("", one)
    assert tensors_of({"model": {"net": {"w": 1}}, "net": one}) == ("net", one)
