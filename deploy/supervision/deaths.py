"""Deaths of workers and the inputs that are refused because of them, for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from deploy.run_folder import DEATHS
from zygote import death_record, quarantine
from zygote.death import Verdict

MODEL = ("model", "version")


def metrics(run: Path, versions: Sequence[tuple[str, str]]) -> Iterable[Metric]:
    """versions: those that are registered, which have zeros to start from; others count as well, once a worker died."""
    folder = str(run / DEATHS)
    zeros = {(*version, str(verdict)): 0 for version in versions for verdict in Verdict}
    died = CounterMetricFamily("bundle_worker_deaths", "Workers that died, by verdict.", labels=[*MODEL, "verdict"])
    for key, deaths in (zeros | death_record.counts(folder)).items():
        died.add_metric(key, deaths)
    refused = Counter((entry.model, entry.version) for entry in quarantine.entries(folder) if entry.refused)
    listed = GaugeMetricFamily("bundle_quarantined_inputs", "Inputs that are refused for such deaths.", labels=MODEL)
    for version in versions:
        listed.add_metric(version, refused[version])
    yield from (died, listed)
