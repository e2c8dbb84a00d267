"""The short form of ./scripts/chaos: a few models, some hundred requests of each kind, and the zeros of its table."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos import report
from tests.chaos.campaign import Campaign
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.neighbours import Neighbours
from tests.chaos.report import Phase
from tests.chaos.target import Target

pytestmark = pytest.mark.e2e
MODELS = ("tiny-image", "tiny-keywords", "tiny-text", "tiny-policy")
SEED = 17
DEADLINE = 20.0
# Seconds of each attack; other faults take longer to mend than CI has time for.
REST, GRPC, HTTP, STREAMS, PARSERS = 4.0, 3.0, 3.0, 1.0, 6.0
SHORT = ("slow callers", "leaving callers", "kill -9 of a worker", "a full queue")


@pytest.fixture(scope="module")
def campaign(tiny_archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    archives = [tiny_archive(name) for name in MODELS]
    with (
        Target(tmp_path_factory.mktemp("chaos"), archives) as target,
        Neighbours(target, DEADLINE) as neighbours,
    ):
        yield Campaign(target, neighbours, SEED, DEADLINE, lambda line: None)


def check(phase: Phase, least: int) -> None:
    """That enough was tried, that neighbours were compared meanwhile, and that nothing unwanted happened."""
    print(report.markdown([phase]))
    assert phase.requests >= least
    assert phase.neighbours["right"] > 0
    assert not phase.findings, "\n".join(report.summary([phase]))
    assert (phase.answers["5xx"], phase.hung, phase.restarts, phase.neighbours["wrong"]) == (0, 0, 0, 0)


def test_hostile_requests_over_rest(campaign: Campaign) -> None:
    campaign.rest(REST)
    check(campaign.phases[-1], 100)


def test_hostile_messages_over_grpc(campaign: Campaign) -> None:
    campaign.grpc(GRPC)
    check(campaign.phases[-1], 100)


def test_what_is_hardly_http(campaign: Campaign) -> None:
    campaign.http(HTTP)
    check(campaign.phases[-1], 30)


def test_streams_of_two_sequences(campaign: Campaign) -> None:
    campaign.streams(STREAMS)
    check(campaign.phases[-1], 1)


def test_parsers(campaign: Campaign, tmp_path: Path) -> None:
    campaign.parsers(tmp_path, PARSERS, by_coverage=False)
    check(campaign.phases[-1], 200)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.name in SHORT], ids=lambda fault: fault.name)
def test_faults(campaign: Campaign, fault: Fault) -> None:
    campaign.fault(fault)
    check(campaign.phases[-1], 0)


def test_a_soak(campaign: Campaign) -> None:
    campaign.soak(3.0)
    check(campaign.phases[-1], 20)
