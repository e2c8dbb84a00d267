import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.archiver.sample_project import SampleProject

PROJECT = Path(__file__).parents[2]


def archiver(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "archiver", *map(str, arguments)],
        cwd=PROJECT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_build_and_list(project: SampleProject) -> None:
    done = archiver(
        "build", project.spec_file, "--artifacts", project.artifacts, "--store", project.store, "--no-verify"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "model.mar  0." in done.stdout
    assert "not verified" in done.stdout
    (project.store / "alien.mar").write_text("no zip")
    listed = archiver("list", "--store", project.store)
    assert listed.returncode == 0
    for expected in (
        "model",
        "1.0",
        "image-classification",
        "top1 0.75",
        "torch 2.11.0",
        "alien.mar",
        "cannot be read",
    ):
        assert expected in listed.stdout


def test_a_verification_that_fails_leaves_no_archive(project: SampleProject) -> None:
    """The project's weights are not real ones."""
    done = archiver("build", project.spec_file, "--artifacts", project.artifacts, "--store", project.store)
    assert done.returncode == 1
    assert f"archiver: {project.store / 'model.mar'}: 1 problem" in done.stderr
    assert "initialize: failed" in done.stderr
    assert list(project.store.iterdir()) == []


def test_several_at_a_time_give_the_same_bytes(project: SampleProject, tmp_path: Path) -> None:
    specs = [project.spec_file]
    for number in range(3):
        specs.append(project.spec_file.with_name(f"other-{number}.yaml"))
        specs[-1].write_text(f"artifact: model\nname: other-{number}\n", encoding="utf-8")
    for jobs in (1, 4):
        store = tmp_path / str(jobs)
        where: list[str | Path] = ["--artifacts", project.artifacts, "--store", store]
        done = archiver("build", *specs, *where, "--no-verify", "--jobs", str(jobs))
        assert (done.returncode, done.stderr) == (0, "")
    for spec in specs:
        one, other = (tmp_path / jobs / f"{spec.stem}.mar" for jobs in "14")
        assert one.read_bytes() == other.read_bytes()


def test_errors_of_every_spec_in_one_run(project: SampleProject) -> None:
    project.spec(workers=0)
    done = archiver("build", project.spec_file, "no-such", "--artifacts", project.artifacts, "--store", project.store)
    assert done.returncode == 2
    assert "workers: wanted auto, or a number from 1 to 64; got 0" in done.stderr
    assert "the spec: no spec of that name" in done.stderr
    assert "Traceback" not in done.stderr
    assert not project.store.exists()


def test_a_store_that_cannot_be_written(project: SampleProject) -> None:
    project.store.write_text("a file")
    done = archiver(
        "build", project.spec_file, "--artifacts", project.artifacts, "--store", project.store, "--no-verify"
    )
    assert done.returncode == 1
    assert "archiver: [Errno 17] File exists" in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_of_a_missing_file(tmp_path: Path) -> None:
    done = archiver("verify", tmp_path / "none.mar")
    assert done.returncode == 1
    assert "cannot be read as a zip" in done.stderr


def test_an_empty_store(tmp_path: Path) -> None:
    done = archiver("list", "--store", tmp_path)
    assert (done.returncode, "no archives in" in done.stdout) == (0, True)


@pytest.mark.parametrize("arguments", [[], ["build"], ["verify"], ["list"]])
def test_help(arguments: list[str]) -> None:
    done = archiver(*arguments, "--help")
    assert done.returncode == 0
    assert "Usage: python -m archiver" in done.stdout


def test_no_command_imports_torch() -> None:
    program = "import sys, archiver.__main__; sys.exit(bool({'torch', 'ts', 'handlers.base'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=False).returncode == 0
