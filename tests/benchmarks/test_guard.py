"""A change that halves the speed does not go unseen: ratios in one run, with generous bounds, never times."""

import pytest

from benchmarks.comparison import Comparison, medians
from benchmarks.in_process import classification
from benchmarks.models import LIGHT
from benchmarks.systems.torchserve import Bundle

PROCESSES = 2


@pytest.mark.e2e
@pytest.mark.slow
def test_serving_costs_little_beside_the_model() -> None:
    limit, usual = (classification(LIGHT, *kind, PROCESSES) for kind in (("fast", 4), ("usual", 1)))
    comparison = Comparison(LIGHT, [Bundle(LIGHT, PROCESSES)], [limit, usual], [8], rounds=2, seconds=2.0, settle=3.0)
    found, _ = comparison.run(print)
    values = medians(found)
    served = values["this bundle", 8]
    print({key: round(value["throughput"], 1) for key, value in values.items()})
    assert served["errors"] == served["wrong"] == 0
    # It is 0.85 to 0.92 of the limit, and 2 to 2.5 times the usual way: half of either is below these.
    assert served["throughput"] > 0.55 * values[limit.name, 0]["throughput"]
    assert served["throughput"] > 1.3 * values[usual.name, 0]["throughput"]
