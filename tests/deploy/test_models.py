"""Which models a command names, and which of them are still to be made."""

import hashlib
import json
import os
import zipfile
from pathlib import Path

import pytest

import deploy.models
from deploy.archive import archives_in
from deploy.errors import DeployError
from deploy.models import DEMO, Model, choose, other_versions


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


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """With a spec, an artifact, handlers, and an archive whose card records them."""
    monkeypatch.setattr(deploy.models, "PROJECT", tmp_path)
    made = Model("mine")
    base = tmp_path / "handlers" / "vision" / "base.py"
    for path in (made.spec, made.archive, made.description, base, tmp_path / "handlers" / "entry.py"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("base.py", "entry.py")}
    names = {"entry.py": "entry.py", "handlers/entry.py": "entry.py", "handlers/vision/base.py": "base.py"}
    listed = "".join(f"{digests[file]}  {name}\n" for name, file in names.items())
    card = {
        "batch": {},
        "inputs": {"spec": sha(made.spec.name), "artifact": sha("artifact.json")},
        "sha256": {"handlers": sha(listed)},
    }
    with zipfile.ZipFile(made.archive, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": {"modelName": "mine", "handler": "entry.py"}}))
        archive.writestr("card.json", json.dumps(card))
        for name, file in names.items():
            archive.writestr(name, file)
    return made


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_times_do_not_make_an_archive_old(model: Model, tmp_path: Path) -> None:
    """A copied checkout has all its files of another time, in another order."""
    assert model.is_current()
    for number, path in enumerate(sorted(tmp_path.rglob("*.*"), reverse=True)):
        os.utime(path, (number * 1_000, number * 1_000))
    assert model.is_current()
    (tmp_path / "handlers" / "another_task.py").touch()  # which the archive does not hold
    assert model.is_current()


@pytest.mark.parametrize("changed", ["spec", "description", "handlers/vision/base.py", "handlers/entry.py"])
def test_an_archive_is_built_again_when_something_in_it_has_changed(model: Model, tmp_path: Path, changed: str) -> None:
    path = tmp_path / changed if changed.startswith("handlers") else getattr(model, changed)
    path.write_text("changed")
    os.utime(path, (1_000, 1_000))
    assert not model.is_current()


def test_an_archive_is_built_again_when_a_module_in_it_has_gone(model: Model, tmp_path: Path) -> None:
    (tmp_path / "handlers" / "vision" / "base.py").unlink()
    assert not model.is_current()


def test_an_archive_serves_as_it_is_where_what_it_was_made_of_is_gone(model: Model) -> None:
    model.description.unlink()
    model.spec.write_text("changed")
    assert model.is_current()
    model.archive.unlink()
    assert not model.is_current()


def test_a_broken_archive_is_built_again(model: Model) -> None:
    model.archive.write_bytes(b"PK")
    assert not model.is_current()


def test_hidden_files_of_a_store_are_not_models(model: Model) -> None:
    """macOS leaves them beside a copied file."""
    (model.store / "._mine.mar").touch()
    with pytest.raises(DeployError, match=r"^no model \._mine"):
        choose(["._mine"], "demo")
    assert [path.name for path in archives_in(model.store)] == ["mine.mar"]


def test_a_fetched_archive_is_served_as_it_is(model: Model) -> None:
    """Though there is an artifact of its name, of which another archive would be built."""
    fetched = Model(model.name, "fetched")
    fetched.archive.parent.mkdir()
    with zipfile.ZipFile(fetched.archive, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": {"modelName": "mine", "handler": "entry.py"}}))
        archive.writestr("card.json", json.dumps({"batch": {}, "task": "another"}))
    assert model.is_trained()
    assert not fetched.is_trained()
    assert fetched.is_current()
    assert fetched.task == "another"


def stored(path: Path, name: str, version: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        manifest = {"model": {"modelName": name, "modelVersion": version, "handler": "h.py"}}
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))


@pytest.mark.parametrize(
    ("names", "chosen", "others"),
    [
        (["mine"], ["mine"], ["a-second", "tenth"]),
        (["tenth"], ["tenth"], []),
        (["mine", "tenth", "mine"], ["mine", "tenth"], ["a-second"]),
        (["theirs"], ["theirs-2"], ["theirs-1"]),
        (["theirs", "mine"], ["theirs-2", "mine"], ["a-second", "tenth", "theirs-1"]),
        (["theirs-1"], ["theirs-1"], []),
        ([], list(DEMO), ["zoo"]),
    ],
)
def test_a_model_is_served_in_all_versions_of_its_store(
    model: Model, names: list[str], chosen: list[str], others: list[str]
) -> None:
    """Though their files have other names; a file's own name stands for that file."""
    for stem, name, version in [
        ("a-second", "mine", "2.0"),
        ("tenth", "mine", "10.0"),
        ("theirs-1", "theirs", "1.9"),
        ("theirs-2", "theirs", "1.10"),
        ("zoo", "cartpole", "2.0"),
    ]:
        stored(model.store / f"{stem}.mar", name, version)
    (model.store / "broken.mar").write_text("mine")
    os.mkfifo(model.store / "pipe.mar")
    found = choose(names, "demo")
    assert [each.name for each in found] == chosen
    more, left_out = other_versions(names, found)
    assert [each.name for each in more] == others
    assert left_out == []


def test_a_copy_of_an_archive_is_left_out(model: Model) -> None:
    stored(model.store / "copy.mar", "mine", "1.0")
    stored(model.store / "other.mar", "mine", "3")
    stored(model.store / "other-copy.mar", "mine", "3")
    found, left_out = other_versions(["mine"], choose(["mine"], "demo"))
    assert [each.name for each in found] == ["other-copy"]
    assert left_out == [
        "copy.mar is left out: mine.mar holds mine 1.0 as well",
        "other.mar is left out: other-copy.mar holds mine 3 as well",
    ]
