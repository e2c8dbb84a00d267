"""An archive whose artifact was altered after the build: its worker says so in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from handlers.artifact import LoadError
from tests.handlers.worker import Worker


@pytest.mark.parametrize(
    ("model", "change", "wanted"),
    [
        ("tiny-audio", {"preprocessing": {}}, r"preprocessing\.sample_rate: missing"),
        ("tiny-audio", {"labels": ["a", 5]}, r"labels\[1\]: wanted a string; got 5"),
        ("tiny-audio", {"weights": "../weights.safetensors"}, "weights: wanted the name of a file"),
        ("tiny-image", {"preprocessing": {"resize": 32, "std": 0}}, r"preprocessing\.std: wanted a list of 3; got 0"),
        ("tiny-image", {"preprocessing": []}, "preprocessing: wanted an object; got a list of 0"),
        (
            "tiny-policy",
            {"preprocessing": {"observation": {}, "action": {"kind": "discrete"}}},
            r"preprocessing\.observation\.shape: missing",
        ),
        ("tiny-policy", {"sample": None}, "sample: wanted a string that is not empty; got None"),
        ("tiny-policy", None, "the file: wanted an object"),
    ],
)
def test_an_archive_that_was_altered_ends_in_a_load_error(
    model: str, change: dict[str, Any] | None, wanted: str, tiny_archive: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(LoadError, match=f"^artifact.json: {wanted}") as raised:
        altered(tiny_archive(model), change, tmp_path)
    assert "\n" not in str(raised.value)


def test_actions_without_bounds_are_the_model_s(tiny_archive: Callable[[str], Path], tmp_path: Path) -> None:
    """A space without bounds is written with null in their place."""
    observation = {"shape": [3], "low": None, "high": None}
    for low, high in (([None], [None]), (None, None), ([None], [1000.0])):
        action = {"kind": "continuous", "low": low, "high": high}
        change = {"preprocessing": {"observation": observation, "action": action}}
        worker = altered(tiny_archive("tiny-torque"), change, tmp_path / f"{low} {high}")
        [found] = worker.json({"body": b'{"data": [0.1, 0.2, 0.3]}'})
        assert found["action"] == found["mean"] != [None]


def altered(archive: Path, change: dict[str, Any] | None, folder: Path) -> Worker:
    """A worker of `archive` with other keys in its artifact.json; change: None for a list in the place of them."""
    folder.mkdir(exist_ok=True)
    with ZipFile(archive) as source, ZipFile(folder / "altered.mar", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "artifact/artifact.json":
                content = json.dumps([] if change is None else {**json.loads(content), **change}).encode()
            target.writestr(name, content)
    return Worker(folder / "altered.mar", folder / "unpacked")
