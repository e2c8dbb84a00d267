"""Which models a command names, and which of them are still to be made."""

import os
from pathlib import Path

import pytest

import deploy.models
from deploy.errors import DeployError
from deploy.models import DEMO, Model, choose


def test_all_of_the_zoo_or_those_named() -> None:
    assert [model.name for model in choose([], "demo")] == list(DEMO)
    assert [model.name for model in choose(["cartpole", "imagenet"], "demo")] == ["cartpole", "imagenet"]


@pytest.mark.parametrize("zoo", ["demo", "hub"])
def test_every_model_of_a_zoo_has_its_experiment_and_its_spec(zoo: str) -> None:
    models = choose([], zoo)
    assert models
    for model in models:
        assert model.experiment.is_file()
        assert model.spec.is_file()


def test_an_unknown_name() -> None:
    with pytest.raises(DeployError, match=r"^no model imagnet; there are imagenet, shapes-detection"):
        choose(["imagnet"], "demo")


def test_an_archive_is_built_again_when_something_in_it_is_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy.models, "PROJECT", tmp_path)
    model = Model("mine")
    for path in (model.spec, model.archive, model.description, tmp_path / "handlers" / "base.py"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (1_000, 1_000))
    assert model.is_current()
    os.utime(tmp_path / "handlers" / "base.py", (2_000, 2_000))
    assert not model.is_current()
    os.utime(model.archive, (3_000, 3_000))
    assert model.is_current()
    model.description.unlink()
    os.utime(model.spec, (4_000, 4_000))
    assert model.is_current()  # what it was made of is gone, so it serves as it is
    model.archive.unlink()
    assert not model.is_current()
