"""The search, the candidates it tries and the spec it writes; the measuring itself on a real server."""

import random
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from deploy.__main__ import app
from deploy.errors import DeployError
from deploy.models import Model
from deploy.tuning import spec_file
from deploy.tuning.bench import Bench
from deploy.tuning.candidate import GRAPH, Candidate, backends
from deploy.tuning.command import milliseconds
from deploy.tuning.plot import plot
from deploy.tuning.search import search
from deploy.tuning.space import DECODERS, DELAYS, Space
from deploy.tuning.trial import Point, Trial, merged, pareto


def test_layouts_share_the_cores_out() -> None:
    assert Space(1, 0, ["torch"]).layouts() == [(1, 1)]
    assert Space(6, 0, ["torch"]).layouts() == [(6, 1), (3, 2), (1, 6)]


def test_on_gpus_threads_and_the_decoder_vary() -> None:
    assert Space(16, 2, ["torch"]).layouts() == [(1, 1), (1, 8), (2, 1), (2, 4), (3, 1), (3, 2)]
    assert Space(1, 8, ["torch"]).layouts() == [(1, 1), (2, 1), (3, 1)]
    grid = Space(16, 1, ["onnxruntime", "torch"], DECODERS).grid()
    assert {(candidate.decode, candidate.threads > 1) for candidate in grid} == {
        ("auto", False),
        ("auto", True),
        ("cpu", True),
    }
    assert len(set(grid)) == len(grid) <= 27
    assert {candidate.decode for candidate in Space(16, 0, ["torch"], DECODERS).grid()} == {""}
    many = replace(grid[0], threads=4)
    assert {near.threads for near in Space(6, 1, ["torch"]).neighbours(many)} == {2, 4}
    assert {near.threads for near in Space(8, 1, ["torch"]).neighbours(many)} == {2, 4, 8}


def test_a_gpu_does_not_run_the_graph() -> None:
    assert {candidate.backend for candidate in Space(16, 1, ["onnxruntime", "torch"]).grid()} == {"torch"}


@pytest.mark.parametrize("cores", [1, 2, 6, 64])
@pytest.mark.parametrize("gpus", [0, 1])
def test_neighbours_stay_in_the_space(cores: int, gpus: int) -> None:
    space = Space(cores, gpus, ["torch"])
    for candidate in space.grid():
        for neighbour in space.neighbours(candidate):
            assert neighbour != candidate
            assert neighbour.size >= 1
            assert neighbour.delay_ms in DELAYS
            assert neighbour.workers >= 1
            assert gpus or neighbour.workers * neighbour.threads <= cores
            assert neighbour.size > 1 or neighbour.delay_ms == 0  # nobody waits for others
            assert neighbour.size <= 2 or neighbour.delay_ms > 0  # which would never fill it


def landscape(candidate: Candidate) -> Trial:
    """A machine of 8 cores where batches of 8 in 4 workers of 2 threads are best; each request waits for its batch."""
    cores = candidate.workers * candidate.threads
    speed = 100.0 * cores * (1 if candidate.backend == "torch" else 0.7) / (1 + 0.05 * abs(candidate.threads - 2))
    speed *= {1: 0.5, 2: 0.7, 4: 0.9, 8: 1.0}.get(candidate.size, 0.8)
    speed *= 1 - 0.01 * DELAYS.index(candidate.delay_ms)
    point = Point(8, speed, 1.0, 5.0 * candidate.size + candidate.delay_ms, 0)
    return Trial(candidate, [point])


def noisy(seed: int) -> Callable[[Candidate], Trial]:
    random_ = random.Random(seed)

    def measure(candidate: Candidate) -> Trial:
        trial = landscape(candidate)
        point = trial.points[0]
        factor = random_.uniform(0.98, 1.02)
        return Trial(candidate, [Point(8, point.throughput * factor, point.p50, point.p99, 0)])

    return measure


def everything(space: Space) -> list[Candidate]:
    found = set(space.grid())
    while fresh := {neighbour for candidate in found for neighbour in space.neighbours(candidate)} - found:
        found |= fresh
    return sorted(found)


@pytest.mark.parametrize("bound", [None, 30.0, 12.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_choice_is_within_a_twentieth_of_the_best_of_all(bound: float | None, seed: int) -> None:
    space = Space(8, 0, ["onnxruntime", "torch"])
    best = max(landscape(candidate).score(bound) for candidate in everything(space))
    asked: list[tuple[int, str]] = []
    trials = search(space, noisy(seed), bound, lambda total, stage: asked.append((total, stage)))
    assert landscape(trials[0].candidate).score(bound) >= 0.95 * best
    assert len(trials) < len(everything(space)) / 2
    assert [total for total, _ in asked] == sorted(total for total, _ in asked)
    assert len({trial.candidate for trial in trials}) == len(trials)


def test_a_candidate_that_does_not_start_never_wins() -> None:
    def measure(candidate: Candidate) -> Trial:
        return Trial(candidate, [], "no memory") if candidate.size > 1 else landscape(candidate)

    trials = search(Space(2, 0, ["torch"]), measure)
    assert trials[0].candidate.size == 1
    assert trials[-1].score(None) == 0


def test_medians_of_the_same_candidate() -> None:
    candidate = Candidate("torch", 1, 1, 1, 1)
    trials = [
        Trial(candidate, [Point(1, speed, 5, p99, errors)]) for speed, p99, errors in ((9, 7, 0), (5, 8, 1), (7, 6, 0))
    ]
    assert merged([*trials, Trial(candidate, [], "died")]).points == [Point(1, 7, 5, 7, 1)]
    assert merged([Trial(candidate, [], "died")]).problem == "died"


def test_the_front_holds_what_nothing_beats() -> None:
    points = [Point(1, 10, 1, 5, 0), Point(1, 20, 1, 9, 0), Point(1, 15, 1, 10, 0), Point(1, 8, 1, 5, 0)]
    assert pareto(points) == [points[0], points[1]]
    assert pareto([]) == []


def test_a_point_with_errors_does_not_count() -> None:
    assert Trial(Candidate("torch", 1, 1, 1, 1), [Point(8, 100, 1, 5, errors=1)]).score(None) == 0


@pytest.mark.parametrize(("text", "wanted"), [("50ms", 50), ("50", 50), ("0.05s", 50), (" 2 S", 2000)])
def test_times(text: str, wanted: float) -> None:
    assert milliseconds(text) == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["", "fast", "-3ms", "0", "nan", "5m"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="wanted"):
        milliseconds(text)


KEYS = Candidate("torch", 2, 1, 16, 3).keys()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "task: policy\n",
        "# Ours.\ntask: policy  # of course\nbatch:\n  size: 64\n\n  # none waits\n  delay_ms: 1\nlimits: {a: 9}\n",
        "workers: 3\nbatch: {size: 2}\nlabels:\n- 'no'\n- b\nthreads: 1\noptions: {a: 1}",
        '"workers": auto\nlabels: [a]\n# the end\n',
    ],
)
def test_a_spec_s_keys_are_set_anew_and_the_rest_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(text, encoding="utf-8")
    spec_file.write(path, KEYS)
    written = path.read_text("utf-8")
    assert yaml.safe_load(written) == {**(yaml.safe_load(text) or {}), **KEYS}
    assert all(comment in written for comment in ("# Ours.", "# of course", "# the end") if comment in text)
    again = written
    spec_file.write(path, KEYS)
    assert path.read_text("utf-8") == again


def test_nothing_is_written_through_a_link_beside_a_spec(tmp_path: Path) -> None:
    path, victim = tmp_path / "model.yaml", tmp_path / "victim"
    path.write_text("workers: 3\n")
    victim.write_text("mine")
    path.with_suffix(".partial").symlink_to(victim)
    spec_file.write(path, KEYS)
    assert victim.read_text() == "mine"
    assert not path.is_symlink()


def test_a_spec_that_cannot_be_changed_line_by_line_stays(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_text("{task: policy, workers: 1}\n")
    with pytest.raises(DeployError, match="size: 16"):
        spec_file.write(path, KEYS)
    assert path.read_text() == "{task: policy, workers: 1}\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_spec_that_is_not_there_is_named_before_anything_is_measured(
    tiny_archive: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tiny_archive("tiny-policy")
    monkeypatch.setattr(Model, "archive", archive)
    monkeypatch.setattr("deploy.tuning.command.choose", lambda names, zoo: [Model(names[0])])
    result = CliRunner().invoke(app, ["tune", "tiny-policy"])
    assert result.exit_code == 1
    assert "tiny-policy.yaml is not there; --spec" in result.output


def test_an_archive_as_a_candidate_has_it(tiny_archive: Callable[[str], Path], tmp_path: Path) -> None:
    archive, path = tiny_archive("tiny-image"), tmp_path / "candidate.mar"
    assert backends(archive) == ["onnxruntime", "torch"]
    Candidate("torch", 3, 2, 16, 8).write(archive, path, gpus=2)
    with zipfile.ZipFile(archive) as before, zipfile.ZipFile(path) as after:
        assert set(before.namelist()) - set(after.namelist()) == {GRAPH}
        old, new = (yaml.safe_load(file.read("model-config.yaml")) for file in (before, after))
    changed = {"minWorkers": 6, "maxWorkers": 6}
    assert new == {**old, **changed, "handler": {**old["handler"], "threads": 2}}
    assert backends(path) == ["torch"]


def test_the_decoder_reaches_the_archive_and_the_spec(tiny_archive: Callable[[str], Path], tmp_path: Path) -> None:
    archive, path, spec = tiny_archive("tiny-image"), tmp_path / "candidate.mar", tmp_path / "model.yaml"
    candidate = Candidate("torch", 2, 4, 16, 1, "cpu")
    candidate.write(archive, path, gpus=1)
    with zipfile.ZipFile(archive) as before, zipfile.ZipFile(path) as after:
        old, new = (yaml.safe_load(file.read("model-config.yaml"))["handler"] for file in (before, after))
    assert old["options"]["decode"] == "auto"
    assert new["options"] == {**old["options"], "decode": "cpu"}
    spec.write_text("options: {top_k: 3}  # three\n")
    spec_file.write(spec, {"options": spec_file.mapping(spec, "options") | {"decode": "cpu"}})
    assert yaml.safe_load(spec.read_text()) == {"options": {"top_k": 3, "decode": "cpu"}}
    spec.write_text("")
    assert spec_file.mapping(spec, "options") == {}


@pytest.mark.e2e
def test_candidates_are_measured_on_a_real_server(tiny_archive: Callable[[str], Path], tmp_path: Path) -> None:
    archive = tiny_archive("tiny-image")
    candidates = [Candidate("onnxruntime", 2, 1, 2, 0), Candidate("torch", 1, 1, 4, 1)]
    with Bench(archive, [1, 4], 0.5) as bench:
        folder = bench.folder
        trials = [bench.measure(candidate) for candidate in candidates]
        broken = bench.measure(Candidate("torch", 1, -1, 1, 1))  # a pool of -1 threads cannot be made
    assert [trial.candidate for trial in trials] == candidates
    for trial in trials:
        assert [point.concurrency for point in trial.points] == [1, 4]
        assert all(point.errors == 0 and point.throughput > 1 and point.p99 >= point.p50 > 0 for point in trial.points)
    assert not broken.points
    assert broken.problem
    assert not folder.exists()
    plot([*trials, broken], 50.0, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
