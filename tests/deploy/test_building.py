"""Archives in the making beside a server: real ones, built by the real archiver."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import deploy.models
from deploy.building import Building
from deploy.configuration import PROJECT
from deploy.errors import DeployError
from deploy.models import Model

pytestmark = pytest.mark.slow


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The policy of the demo, in a project of its own that has its spec and its artifact alone."""
    made = Model("cartpole")
    spec, shipped = made.spec, made.description.parent
    (tmp_path / "handlers").symlink_to(PROJECT / "handlers")
    monkeypatch.setattr(deploy.models, "PROJECT", tmp_path)
    made.spec.parent.mkdir(parents=True)
    shutil.copy(spec, made.spec)
    shutil.copytree(shipped, tmp_path / "artifacts" / "demo" / made.name)
    assert shipped.is_relative_to(PROJECT)
    return made


def wait(condition: Callable[[], object], building: Building, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        building.check()
        assert time.monotonic() < end
        time.sleep(0.1)


def test_an_archive_appears_once_it_is_verified(model: Model) -> None:
    lines: list[str] = []
    assert not model.is_current()
    with Building([model], lines.append) as building:
        assert not building.done
        wait(model.is_current, building)
        wait(lambda: building.done, building)
    assert [path.name for path in model.store.iterdir()] == ["cartpole.mar"]
    assert any("cartpole.mar" in line and "verified" in line for line in lines)


def test_what_the_archiver_refuses_is_said(model: Model) -> None:
    model.spec.write_text("worker: 2\n", encoding="utf-8")
    with (
        Building([model], lambda line: None) as building,
        pytest.raises(DeployError, match=r"(?s)not be built.*worker"),
    ):
        wait(lambda: False, building)


def test_leaving_ends_it_with_all_its_processes(model: Model) -> None:
    with Building([model], lambda line: None) as building:
        assert building.process is not None
        process = psutil.Process(building.process.pid)
        wait(process.children, building)  # it has begun to load the model
        family = [process, *process.children(recursive=True)]
    assert len(family) > 1
    _, left = psutil.wait_procs(family, timeout=60)
    # One that has ended stays a zombie until the system's first process asks for its status.
    assert not [member for member in left if member.is_running() and member.status() != psutil.STATUS_ZOMBIE]
    assert not model.archive.exists()


def test_nothing_to_build_starts_nothing() -> None:
    with Building([], lambda line: None) as building:
        building.check()
        assert building.process is None
        assert building.done
