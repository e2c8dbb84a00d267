"""Which version has the better outcomes: how often that is wrong, and how soon it is right."""

import json
import random
from pathlib import Path

import pytest
from scipy.stats import binom, norm
from typer.testing import CliRunner

from deploy.errors import DeployError
from deploy.versions.command import app
from deploy.versions.feedback.comparison import BetterTest, compare
from deploy.versions.feedback.outcomes import Outcome, OutcomeFile, logged, reported, value_of

ALPHA, OUTCOMES, RUNS = 0.05, 200, 60


def outcomes(chance: random.Random, share: float, first: float, second: float, number: int = OUTCOMES) -> list[Outcome]:
    """share: of the version "2.0". first, second: the versions' chance of success."""
    made = []
    for index in range(number):
        version = "2.0" if chance.random() < share else "1.0"
        success = chance.random() < (second if version == "2.0" else first)
        made.append(Outcome(str(index), version, {"1.0": 1 - share, "2.0": share}, float(success)))
    return made


def first_alarm(found: list[Outcome], alpha: float = ALPHA) -> int | None:
    """After how many outcomes one version is called better by a look after each of them."""
    up, down = BetterTest(), BetterTest()
    for number, each in enumerate(found, 1):
        is_second = each.version == "2.0"
        up.add(each.shares["2.0"], is_second, each.value)
        down.add(each.shares["1.0"], not is_second, each.value)
        if 2 * min(up.p, down.p) <= alpha:
            return number
    return None


def glances(found: list[Outcome]) -> bool:
    """Whether the usual test of two proportions, looked at after each outcome, ever says that they differ."""
    counts = {"1.0": [0, 0.0], "2.0": [0, 0.0]}
    for each in found:
        counts[each.version][0] += 1
        counts[each.version][1] += each.value
        (n1, s1), (n2, s2) = counts.values()
        if n1 + n2 < 20 or not n1 or not n2 or not 0 < s1 + s2 < n1 + n2:
            continue
        pooled = (s1 + s2) / (n1 + n2)
        z = (s1 / n1 - s2 / n2) / (pooled * (1 - pooled) * (1 / n1 + 1 / n2)) ** 0.5
        if 2 * norm.sf(abs(z)) <= ALPHA:
            return True
    return False


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_of_two_equal_versions_one_is_rarely_called_better(share: float) -> None:
    """Looked at after every outcome; a test for one look is wrong several times as often."""
    chance = random.Random(0)
    series = [outcomes(chance, share, 0.6, 0.6) for _ in range(RUNS)]
    alarms = sum(first_alarm(each) is not None for each in series)
    assert alarms <= binom.ppf(1 - 1e-6, RUNS, ALPHA)
    assert sum(map(glances, series)) > 2 * ALPHA * RUNS


def test_a_better_version_is_found_and_more_difference_is_found_sooner() -> None:
    chance = random.Random(1)
    small, large = (
        sorted(first_alarm(outcomes(chance, 0.5, 0.5, better, 2000)) or 10_000 for _ in range(9))[4]
        for better in (0.65, 0.9)
    )
    assert large < 80
    assert large < small < 1500


def test_changes_of_time_and_share_mislead_nobody() -> None:
    """The later version gets more calls as all calls become better: a comparison of the means alone would favour it."""
    chance = random.Random(2)
    wrong = 0
    for _ in range(60):
        found = outcomes(chance, 0.1, 0.2, 0.2, 150) + outcomes(chance, 0.9, 0.8, 0.8, 150)
        means = {each: [o.value for o in found if o.version == each] for each in ("1.0", "2.0")}
        assert sum(means["2.0"]) / len(means["2.0"]) > sum(means["1.0"]) / len(means["1.0"]) + 0.2
        wrong += first_alarm(found) is not None
    assert wrong <= binom.ppf(1 - 1e-6, 60, ALPHA)


def test_a_comparison_says_how_sure_and_when_to_stop() -> None:
    chance = random.Random(3)
    found = compare(outcomes(chance, 0.5, 0.3, 0.8, 400), "1.0", "2.0")
    assert (found.better, found.further) == ("2.0", None)
    assert found.p < 1e-6
    low, high = found.difference
    assert 0 < low < 0.5 < high
    early = compare(outcomes(chance, 0.5, 0.3, 0.8, 5), "1.0", "2.0")
    assert early.better == ""
    assert early.first.low <= early.first.mean <= early.first.high
    other_way = compare(outcomes(chance, 0.5, 0.8, 0.3, 400), "1.0", "2.0")
    assert other_way.better == "1.0"
    assert json.loads(json.dumps(other_way.to_json()))["stop"] is True


def test_outcomes_between_success_and_failure() -> None:
    chance = random.Random(4)

    def ratings(second: tuple[float, float]) -> list[Outcome]:
        values, drawn = {"1.0": (4, 4), "2.0": second}, outcomes(chance, 0.3, 0, 0, 300)
        return [
            Outcome(each.id, each.version, each.shares, chance.betavariate(*values[each.version])) for each in drawn
        ]

    assert compare(ratings((7, 2)), "1.0", "2.0").better == "2.0"
    assert sum(first_alarm(ratings((4, 4))) is not None for _ in range(40)) <= binom.ppf(1 - 1e-6, 40, ALPHA)


def line(id: str, version: str, shares: str | None, model: str = "m") -> str:
    call = {"request_id": id, "model": model, "version": version, "shares": shares, "code": 200, "flags": "-"}
    return json.dumps({**call, "details": "via_upstream", "grpc_status": None, "milliseconds": 3}) + "\n"


def test_a_request_id_leads_to_its_version(tmp_path: Path) -> None:
    log = tmp_path / "edge.log"
    (tmp_path / "edge.1.log").write_text(line("a", "1.0", "1.0=0.9 2.0=0.1"))
    log.write_text(line("b", "2.0", "1.0=0.9 2.0=0.1") + line("c", "2.0", None) + line("d", "1.0", "1.0=1", "other"))
    found = logged([log], "m", {"a", "b", "c", "d", "e"})
    assert {id: call.version for id, call in found.items()} == {"a": "1.0", "b": "2.0"}
    assert found["b"].shares == {"1.0": 0.9, "2.0": 0.1}
    file = OutcomeFile(tmp_path, "m")
    made = [Outcome(id, call.version, call.shares, 1.0) for id, call in found.items()]
    assert [file.add(made), file.add(made)] == [2, 0]
    assert file.read() == made


def test_what_is_not_an_outcome() -> None:
    assert [value_of(each) for each in ("success", "failure", True, False, 0.25, "1")] == [1, 0, 1, 0, 0.25, 1]
    for bad in ("good", "1.1", "-0.1", "nan", "", None):
        with pytest.raises(DeployError, match="wanted success, failure, or a number from 0 to 1"):
            value_of(bad)
    lines = ['{"request_id": "a", "outcome": "success"}', "", '{"request_id": "b", "outcome": 2}']
    with pytest.raises(DeployError, match="line 3: outcome: got '2'"):
        list(reported(lines))
    for bad in ("[]", "{", '{"outcome": 1}', "7"):
        with pytest.raises(DeployError, match="line 1: wanted"):
            list(reported([bad]))


def test_a_comparison_without_outcomes_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["compare", "m", "1.0", "2.0"], env={"BUNDLE_RUN": str(tmp_path)})
    assert result.exit_code == 1
    assert "m has too few outcomes: 0 of 1.0 and 0 of 2.0" in result.stderr
