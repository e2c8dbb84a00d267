"""`evaluate` on an artifact whose program would run code when torch loads it."""

import json
import zipfile
from pathlib import Path

import pytest

from deploy.configuration import PROJECT
from tests.handlers.formats.test_torch_export import WEIGHTS, Runs, pickled
from train.core.config import ExperimentError
from train.core.experiment import load

PROGRAM = PROJECT / "artifacts" / "demo" / "cartpole" / "weights.pt2"


def test_a_pickled_weight_is_not_loaded(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    with zipfile.ZipFile(PROGRAM) as source, zipfile.ZipFile(tmp_path / PROGRAM.name, "w") as changed:
        root = source.namelist()[0].partition("/")[0]
        config = json.loads(source.read(f"{root}/{WEIGHTS}"))
        entry = next(iter(config["config"].values()))
        entry["use_pickle"] = True
        new = {
            f"{root}/{WEIGHTS}": json.dumps(config).encode(),
            f"{root}/data/weights/{entry['path_name']}": pickled(Runs(trace)),
        }
        for name in source.namelist():
            changed.writestr(name, new.get(name) or source.read(name))
    with pytest.raises(ExperimentError, match="is a pickle, which runs code"):
        load("cartpole").evaluate(tmp_path)
    assert not trace.exists()
