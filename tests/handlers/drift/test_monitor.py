"""The statistics of an input, how they are counted, and how much time that may take."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from archiver import drift
from deploy.supervision.drift import FLOOR, shares_of, stability_index
from handlers.batching.request_state import RequestState
from handlers.drift import monitor, reference, statistics
from handlers.drift.monitor import SHARE, Monitor
from handlers.drift.reference import Feature, features_of
from handlers.protocol.payload import Payload, Request
from handlers.protocol.response import Response
from handlers.torchserve.metrics import MetricsReporter
from tests.inputs import IMAGES

RANDOM = np.random.default_rng(0)


def test_both_sides_name_the_same() -> None:
    assert (drift.CLASS, drift.CONFIDENCE) == (reference.CLASS, reference.CONFIDENCE)


def test_an_image() -> None:
    """Pillow's luma is the same formula."""
    image = IMAGES[0]
    found = statistics.of_image(torch.from_numpy(np.array(image)).permute(2, 0, 1))
    assert found["brightness"] == pytest.approx(np.asarray(image.convert("L")).mean() / 255, abs=0.01)
    assert (found["side"], found["aspect"]) == (math.sqrt(image.width * image.height), image.width / image.height)
    dark = Image.eval(image, lambda value: value // 2)
    darker = statistics.of_image(torch.from_numpy(np.array(dark)).permute(2, 0, 1))
    assert darker["brightness"] == pytest.approx(found["brightness"] / 2, abs=0.01)


def test_a_recording() -> None:
    sine = torch.sin(torch.arange(16_000) * 2 * math.pi * 440 / 16_000)
    assert statistics.of_recording(sine, 16_000)["loudness"] == pytest.approx(-3.0103, abs=1e-3)
    assert statistics.of_recording(sine / 10, 16_000)["loudness"] == pytest.approx(-23.0103, abs=1e-3)
    assert statistics.of_recording(torch.zeros(800), 16_000) == {"loudness": -120.0, "seconds": 0.05}


def test_texts_and_numbers() -> None:
    assert statistics.of_text("a b c", [5, 0, 7, 0], 0) == {"characters": 5, "tokens": 4, "unknown": 0.5}
    assert "unknown" not in statistics.of_text("a", [1], None)
    assert statistics.of_numbers([[1, 2], [3, 4]]) == {"mean": 2.5, "spread": pytest.approx(np.std([1, 2, 3, 4]))}


@pytest.mark.parametrize("values", [RANDOM.normal(0, 1, 500), RANDOM.exponential(1, 300), RANDOM.uniform(5, 6, 1000)])
def test_bins_hold_as_many_each(values: np.ndarray) -> None:
    found = drift.histogram(values.tolist(), 10)
    counts, _ = np.histogram(values, [-np.inf, *np.nextafter(found["bounds"], np.inf), np.inf])
    assert found["counts"] == counts.tolist()
    assert np.abs(counts - len(values) / 10).max() <= 2


def test_a_value_that_most_inputs_have_has_a_bin_of_its_own() -> None:
    """So that what comes to be smaller is seen as well as what comes to be larger."""
    found = drift.histogram([1.0] * 180 + [2.0] * 20, 8)
    feature = Feature(tuple(found["bounds"]))
    bins = [feature.bin_of(value) for value in (0.9, 1.0, 1.1)]
    assert len(set(bins)) == 3
    assert found["counts"][bins[1]] == 180
    zeros = Feature(tuple(drift.histogram([0.0] * 200, 8)["bounds"]))
    assert len({zeros.bin_of(value) for value in (-0.1, 0.0, 0.1)}) == 3


def test_classes_beyond_the_most_frequent_are_one_bin() -> None:
    found = drift.labelled({"a": 50, "b": 30, "c": 15, "d": 5}, 3)
    assert found == {"labels": ["a", "b"], "counts": [50, 30, 20]}
    [feature] = features_of({"drift": {"class": found}}).values()
    assert [feature.bin_of(label) for label in ("a", "b", "c", "never seen")] == [0, 1, 2, 2]
    assert feature.bins == 3


def test_the_statistics_of_a_training_are_enough() -> None:
    deciles = [0.4, *np.linspace(0.5, 0.98, 9), 1.0]
    values = {"recordings": 630, "predicted": {"a": 0.7, "b": 0.3}, "confidence deciles": deciles}
    found = drift.of_training(values)
    assert found["class"] == {"labels": ["a", "b"], "counts": [441, 189, 0]}
    assert (len(found["confidence"]["bounds"]), found["confidence"]["counts"]) == (9, [63] * 10)
    assert drift.of_training({"images": 20, "predicted": {"a": 1.0}}) == {}  # too few to compare with
    assert drift.of_training({}) == {}


def test_the_index_is_that_of_the_literature() -> None:
    """With scipy's relative entropies, whose sum in both directions it is; for 0.2 a shift that can be computed."""
    for _ in range(20):
        expected, counts = RANDOM.dirichlet(np.ones(10)) + 0.01, RANDOM.integers(1, 500, 10)
        [shares] = shares_of({"f": {"counts": (1000 * expected).tolist()}}).values()
        actual = counts / counts.sum()
        wanted = stats.entropy(actual, shares) + stats.entropy(np.array(shares), actual)
        assert stability_index(shares, counts.tolist()) == pytest.approx(wanted)
    assert stability_index([0.5, 0.5], [500, 500]) == 0
    assert stability_index([0.5, 0.5], [0, 10]) == pytest.approx(0.5 * math.log(2) + 0.4999 * math.log(0.5 / FLOOR))


def test_chance_stays_below_what_is_taken_for_a_shift() -> None:
    """500 inputs against 500 of the validation data, a thousand times: less than one in a hundred exceed 0.1."""
    exceeded = 0
    for _ in range(1000):
        found = drift.histogram(RANDOM.normal(0, 1, 500).tolist(), 10)
        [shares] = shares_of({"f": found}).values()
        counts = np.bincount(np.searchsorted(found["bounds"], RANDOM.normal(0, 1, 500)), minlength=len(shares))
        exceeded += stability_index(shares, counts.tolist()) > 0.1
    assert exceeded < 10


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def answered(value: float) -> RequestState[Any, Any]:
    state: RequestState[Any, Any] = RequestState({})
    state.request, state.items, state.answers = (
        Request([Payload([value], "")], ""),
        [value],
        [Response(b"", classes=["a"])],
    )
    return state


@pytest.fixture
def metrics() -> MetricsReporter:
    return MetricsReporter("m", "1.0")


FEATURES = {"mean": Feature(bounds=(0.0, 1.0)), "class": Feature(labels=("a",))}


def test_a_busy_worker_measures_for_a_small_part_of_its_time(
    metrics: MetricsReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(monitor, "process_time", clock)
    monkeypatch.setattr(monitor, "perf_counter", clock)  # it computes all the time
    measured = []

    def measure(payload: Payload, item: Any) -> dict[str, float]:
        clock.now += 0.002
        measured.append(item)
        return statistics.of_numbers(payload.data)

    watched = Monitor(FEATURES, metrics, measure)
    for _ in range(10_000):
        clock.now += 0.001
        watched.look([answered(0.5)])
    share = len(measured) * 0.002 / (clock.now - 100)
    assert 0.003 < share < 0.0055


def test_an_idle_worker_does_not_rest_for_long(metrics: MetricsReporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request now and then takes hardly any processor time; one a second is looked at."""
    clock = Clock()
    monkeypatch.setattr(monitor, "perf_counter", clock)
    watched = Monitor(FEATURES, metrics, lambda payload, item: {"mean": sum(range(10_000)) and 0.5})
    for _ in range(20):
        clock.now += 5
        watched.look([answered(0.5)])
    assert metrics.counts.bins["mean", 1] == 20


def test_counts_are_written_with_zeros_first(metrics: MetricsReporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHARE, "1")
    watched = Monitor(FEATURES, metrics, lambda payload, item: statistics.of_numbers(payload.data))
    first = [
        line.partition("|")[0] + line.partition("ModelVersion:1.0")[2] for line in metrics.lines() if "Drift" in line
    ]
    assert len(first) == 5
    assert first[0].startswith("[METRICS]DriftBin.count:0.0,Feature:mean,Bin:0,")
    for value in (-1.0, 0.5, 0.7):
        watched.look([answered(value)])
    lines = [line for line in metrics.lines() if "Drift" in line]
    values = sorted(line.split("|")[0] for line in lines)
    assert values == [f"[METRICS]DriftBin.count:{number}" for number in ("1.0", "2.0", "3.0")]


def test_nothing_is_measured_of_errors_or_where_it_is_switched_off(
    metrics: MetricsReporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(payload: Payload, item: Any) -> dict[str, float]:
        raise AssertionError

    failed: RequestState[Any, Any] = RequestState({})
    Monitor(FEATURES, metrics, measure).look([failed])
    monkeypatch.setenv(SHARE, "0")
    Monitor(FEATURES, metrics, measure).look([answered(0.5)])
    assert not any(metrics.counts.bins.values())


def test_a_statistic_that_fails_costs_no_answer(metrics: MetricsReporter, caplog: pytest.LogCaptureFixture) -> None:
    def measure(payload: Payload, item: Any) -> dict[str, float]:
        raise ValueError("as the test asked")

    Monitor(FEATURES, metrics, measure).look([answered(0.5)])
    assert metrics.counts.bins["class", 0] == 1
    assert "the statistics of request - failed" in caplog.text
