"""The sequential tests: how often they are wrong where nothing differs, and how soon they see what does."""

import json
import math
import random

import pytest
from scipy.stats import beta, binom

from deploy.versions.rollout.calls import Call
from deploy.versions.rollout.evidence import ClassesTest, OddsTest, bounds
from deploy.versions.rollout.judge import ALPHA, ENOUGH, Judge, Limits

CALLS, RUNS = 300, 60


def at_most(alpha: float, runs: int = RUNS) -> int:
    """As many false alarms as there are once in a million at level alpha."""
    return int(binom.ppf(1 - 1e-6, runs, alpha))


def call(failed: bool = False, milliseconds: float = 5.0, refused: bool = False) -> Call:
    return Call("id", "model", "", {}, failed, refused, milliseconds)


def judged(chance: random.Random, share: float, calls: int, new: float, old: float, slower: float = 1.0) -> int | None:
    """After how many calls there is an objection. new, old: of the calls of each that fail."""
    judge = Judge(Limits(max_error_ratio=0.5))
    for number in range(calls):
        is_new = chance.random() < share
        # The load comes in waves, which are the same for both.
        time = chance.expovariate(1 / (5 + 4 * math.sin(number / 50))) * (slower if is_new else 1.0)
        judge.add(call(chance.random() < (new if is_new else old), time), is_new, share)
        if judge.objection():
            return number + 1
    return None


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_two_versions_that_are_alike_are_rarely_told_apart(share: float) -> None:
    """Looked at after every call. Three checks can object here, each at level ALPHA."""
    chance = random.Random(0)
    alarms = sum(judged(chance, share, CALLS, 0.03, 0.03) is not None for _ in range(RUNS))
    assert alarms <= at_most(3 * ALPHA)


def test_a_version_that_fails_more_or_is_slow_is_seen() -> None:
    chance = random.Random(1)
    for settings, soon in (((0.5, 0.1, 1.0), 300), ((1.0, 0.0, 1.0), 150), ((0.0, 0.0, 8.0), 600)):
        new, old, slower = settings
        seen = [judged(chance, 0.1, 2 * soon, new, old, slower) for _ in range(9)]
        assert all(seen), settings
        assert sorted(each or 0 for each in seen)[4] <= soon, settings


def test_refused_calls_count_as_well() -> None:
    judge = Judge(Limits())
    for number in range(200):
        judge.add(call(refused=number % 10 == 0), number % 10 == 0, 0.1)
    assert "refused: 20 of 20" in judge.objection()


def test_absolute_limits() -> None:
    slow = Judge(Limits(max_p99=10))
    for _ in range(60):
        slow.add(call(milliseconds=20), True, 1.0)
    assert "its p99 is 2" in slow.objection()
    failing = Judge(Limits(max_error_ratio=0.05))
    assert not failing.is_proven
    for number in range(300):
        failing.add(call(failed=number % 5 == 0), True, 1.0)
    assert "more of its calls fail than 5.00%" in failing.objection()
    assert not failing.is_proven
    good = Judge(Limits(max_error_ratio=0.05))
    for number in range(300):
        assert not good.is_proven or number > 100
        good.add(call(), True, 1.0)
    assert good.is_proven


def test_classes() -> None:
    chance = random.Random(2)

    def differs(swapped: bool) -> bool:
        test = ClassesTest()
        for _ in range(CALLS):
            is_new, name = chance.random() < 0.1, chance.choice("aaaaaaaaab")
            name = {"a": "b", "b": "a"}[name] if swapped and is_new else name
            test.add(name, 0.1, int(is_new), int(not is_new))
            if test.log_evidence > ENOUGH:
                return True
        return False

    assert sum(differs(False) for _ in range(RUNS)) <= at_most(ALPHA)
    assert sum(differs(True) for _ in range(20)) >= 18


def test_evidence_is_that_of_the_likelihoods() -> None:
    """By hand: of 4 outcomes 3 are the new version's, whose share is a half."""
    test = OddsTest()
    test.add(0.5, 3, 1)
    ratios = [(f / (1 + f)) ** 3 * (1 / (1 + f)) / 0.5**4 for f in (1.5, 3.0, 10.0, 100.0)]
    assert math.exp(test.log_evidence) == pytest.approx(sum(ratios) / 4)
    assert OddsTest.from_json(json.loads(json.dumps(test.to_json()))) == test
    test.add(1.0, 5, 0)  # nothing can be said where there is one version alone
    assert math.exp(test.log_evidence) == pytest.approx(sum(ratios) / 4)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (7, 500), (2.5, 20)])
def test_bounds_are_where_the_likelihood_is_alpha_of_the_mixture(successes: float, trials: int) -> None:
    """With a uniform prior, likelihood over mixture is the density of the posterior."""
    low, high = bounds(successes, trials, 0.05)
    posterior = beta(successes + 1, trials - successes + 1)
    for bound in (low, high):
        if 0 < bound < 1:
            assert posterior.pdf(bound) == pytest.approx(0.05, rel=1e-3)
    assert low <= successes / trials <= high
    assert (low == 0) == (successes == 0)
    assert (high == 1) == (successes == trials)


def test_bounds_hold_at_all_times_together() -> None:
    chance = random.Random(3)
    missed = 0
    for _ in range(RUNS):
        successes = 0.0
        for number in range(1, 200):
            successes += chance.betavariate(2, 8)  # of mean 0.2, not a coin
            low, high = bounds(successes, number, 0.05)
            if not low <= 0.2 <= high:
                missed += 1
                break
    assert missed <= at_most(0.05)


def test_a_judge_is_kept_in_a_file() -> None:
    judge = Judge(Limits())
    for number in range(100):
        judge.add(call(number % 7 == 0, float(number)), number % 2 == 0, 0.5)
        judge.classes.add("a", 0.5, 1, 0)
    again = Judge.from_json(Limits(), json.loads(json.dumps(judge.to_json())))
    assert again == judge
    assert again.evidence() == judge.evidence()
