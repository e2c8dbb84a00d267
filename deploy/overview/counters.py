"""A server's counters since it started, read from its metrics in Prometheus's text format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

STAGES = ("DecodeTime", "InferenceTime", "EncodeTime")
EDGE = {"envoy_http_conn_manager_prefix": "edge"}


@dataclass(frozen=True)
class Counters:
    """refused: answered with a 4xx. failed: with a 5xx. timings, seconds: how many were timed, and their sum."""

    requests: float = 0.0
    refused: float = 0.0
    failed: float = 0.0
    timings: float = 0.0
    seconds: float = 0.0

    def since(self, before: Counters) -> Counters:
        """The difference; a counter that went down has started again from 0, as after a model was replaced."""
        if self.requests < before.requests or self.timings < before.timings:
            return self
        return Counters(
            self.requests - before.requests,
            self.refused - before.refused,
            self.failed - before.failed,
            self.timings - before.timings,
            self.seconds - before.seconds,
        )

    @property
    def mean_ms(self) -> float | None:
        return 1000 * self.seconds / self.timings if self.timings else None


def by_model(text: str) -> dict[tuple[str, str], Counters]:
    """(model, version) → its counters, as its workers report them: of REST and gRPC alike, once a second.

    The timings are of batches inside a worker. TorchServe's own latency would include the wait in the queue, but it
    leaves out gRPC while counting its requests.
    """
    codes: dict[tuple[str, str], defaultdict[str, float]] = {}
    sums: dict[tuple[str, str], defaultdict[str, float]] = {}
    for name, labels, value in samples(text):
        key = (labels.get("ModelName", ""), labels.get("ModelVersion", ""))
        if name == "ModelRequests":
            codes.setdefault(key, defaultdict(float))[labels["Code"][:1]] += value
        elif name.endswith(("Time_sum", "Time_count")):
            sums.setdefault(key, defaultdict(float))[name] += value
    return {key: model_counters(codes.get(key, {}), sums.get(key, {})) for key in codes.keys() | sums.keys()}


def model_counters(codes: Mapping[str, float], sums: Mapping[str, float]) -> Counters:
    """codes: first digit → requests."""
    return Counters(
        sum(codes.values()),
        codes.get("4", 0.0),
        codes.get("5", 0.0),
        sums.get("InferenceTime_count", 0.0),
        sum(sums.get(f"{stage}_sum", 0.0) for stage in STAGES),
    )


def of_edge(text: str) -> Counters:
    """Envoy's: the answers that callers got, and how long each took. Its histogram is in milliseconds."""
    codes: defaultdict[str, float] = defaultdict(float)
    times: defaultdict[str, float] = defaultdict(float)
    for name, labels, value in samples(text):
        if not EDGE.items() <= labels.items():
            continue
        if name == "envoy_http_downstream_rq_xx":
            codes[labels["envoy_response_code_class"]] += value
        elif name.startswith("envoy_http_downstream_rq_time_"):
            times[name.rpartition("_")[2]] += value
    return Counters(sum(codes.values()), codes["4"], codes["5"], times["count"], times["sum"] / 1000)


def samples(text: str) -> list[tuple[str, dict[str, str], float]]:
    """(name, labels, value). The parser adds _total to every counter's name, as OpenMetrics has it."""
    return [
        (sample.name.removesuffix("_total"), sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
