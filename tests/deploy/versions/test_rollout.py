"""Rollouts under load, over both protocols: a good version takes over and no call fails, bad ones are taken back."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from scipy.stats import binom

from client import RestManagement
from deploy.configuration import PROJECT
from deploy.edge import traffic
from deploy.versions.rollout.command import TAKEN_BACK
from deploy.versions.rollout.state import Phase, StateFile
from tests.deploy.versions.conftest import MODEL, Served
from tests.deploy.versions.load import Load, load

pytestmark = pytest.mark.e2e
CALL = {"data": [0.3, 0.2, 0.3, 0.4]}
QUICK = ("--steps", "10,50,100", "--hold", 3, "--patience", 60)


def default(served: Served) -> str:
    with RestManagement(served.server) as management:
        return management.describe(MODEL).version


def assert_untouched(served: Served) -> None:
    """As before the rollout: one version, and nothing divided."""
    assert served.versions() == ["1.0"]
    assert traffic.read(served.settings / traffic.NAME).digest() == traffic.Traffic().digest()


def back_to(served: Served) -> None:
    """The first version again."""
    (new,) = served.versions()
    served.done("register", served.run.parent / "store" / "tiny-policy.mar", "--default")
    served.done("unregister", MODEL, new)


def assert_none_failed(calls: Load) -> None:
    """A call that hangs fails after PATIENCE."""
    assert calls.failed == []


@pytest.fixture
def calls(served: Served) -> Iterator[Load]:
    with load(served.server, MODEL, payload=CALL) as made:
        yield made


def test_a_good_version_takes_over(served: Served, calls: Load) -> None:
    new = served.archive("2.0")
    said = served.done("rollout", MODEL, new, *QUICK, "--shadow", "--shadow-seconds", 2, "--json")
    summary = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert (summary["outcome"], summary["new"]["version"]) == ("promoted", "2.0")
    assert summary["agreement"]["compared"] >= 20
    assert summary["agreement"]["mean"] == 1.0
    assert served.versions() == ["2.0"] == [default(served)]
    assert traffic.read(served.settings / traffic.NAME).models == {}
    page = (served.run / "rollouts" / f"{MODEL}-2.0.html").read_text()
    assert page.count("<svg") == 4
    assert "http" not in page
    back_to(served)
    assert_none_failed(calls)
    assert {protocol for protocol, version in calls.answered if version == "2.0"} == {"RestClient", "GrpcClient"}


@pytest.mark.parametrize(("version", "handler", "reason"), [
    ("3.0", "Throwing", "more of its calls fail"),
    ("3.1", "Slow", "it is slower"),
    ("3.2", "Mistaken", "it predicts other classes"),
    ("3.3", "NeverStarting", "workers of tiny-policy 3.3 die while loading it"),
])  # fmt: skip
def test_a_bad_version_is_taken_back(served: Served, calls: Load, version: str, handler: str, reason: str) -> None:
    result = served.deploy("rollout", MODEL, served.faulty(version, handler), *QUICK, "--no-verify")
    assert result.exit_code == TAKEN_BACK, result.output
    assert reason in result.output
    assert_untouched(served)
    failed = len(calls.failed)
    if handler == "Throwing":
        steps = StateFile(served.run / "rollouts", MODEL).read()
        assert steps is not None
        assert steps.step == 0
        total = failed + sum(calls.versions().values())
        assert 0 < failed <= binom.ppf(1 - 1e-6, total, 0.1)
    else:
        assert calls.failed == []
    time.sleep(1)
    assert len(calls.failed) == failed


def test_answers_that_disagree_are_found_before_any_caller_gets_one(served: Served, calls: Load) -> None:
    result = served.deploy("rollout", MODEL, served.faulty("4.0", "Mistaken"), *QUICK, "--no-verify", "--shadow")
    assert result.exit_code == TAKEN_BACK, result.output
    assert "agree with the old version's" in result.output
    assert_untouched(served)
    assert calls.versions()["4.0"] == 0
    assert calls.failed == []


class Killed:
    """A controller in a process of its own, which is killed in a phase."""

    def __init__(self, served: Served, *arguments: object) -> None:
        command = [sys.executable, "-m", "deploy.versions.command", *map(str, arguments)]
        self.file = StateFile(served.run / "rollouts", MODEL)
        self.process = subprocess.Popen(
            [*command, "--settings", str(served.settings)],
            cwd=PROJECT,
            env={**os.environ, **served.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def at(self, phase: Phase, step: int = 0) -> None:
        end = time.monotonic() + 60
        while True:
            state = self.file.read()
            if state and (state.phase, state.step) == (phase, step) and (step == 0 or state.timeline):
                break
            assert time.monotonic() < end, state
            assert self.process.poll() is None, state
            time.sleep(0.02)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def test_the_controller_is_killed_at_every_step(served: Served, calls: Load) -> None:
    new = served.archive("5.0")
    start = ("rollout", MODEL, new, *QUICK, "--no-verify")
    Killed(served, *start).at(Phase.REGISTER)
    assert served.deploy(*start).exit_code == 1  # one is unfinished
    Killed(served, "resume", MODEL).at(Phase.STEPS, 0)
    Killed(served, "resume", MODEL).at(Phase.STEPS, 1)
    assert served.deploy("abort", MODEL).exit_code == 0
    assert_untouched(served)
    assert served.deploy("resume", MODEL).exit_code == 1
    Killed(served, *start).at(Phase.STEPS, 2)
    Killed(served, "resume", MODEL).at(Phase.PROMOTE, 3)
    assert "promoted" in served.done("resume", MODEL)
    assert served.versions() == ["5.0"]
    back_to(served)
    assert_none_failed(calls)
