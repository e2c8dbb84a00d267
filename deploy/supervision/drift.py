"""The validation data of archives, by the bins that workers count into: for Prometheus and `./bundle deploy status`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily

from client.explanations import is_explainer
from client.model_status import ModelStatus
from deploy.archive import Archive
from deploy.errors import DeployError

FLOOR = 1e-4  # of a share, so that a bin without inputs has a logarithm
Shares = Mapping[str, Sequence[float]]  # of each bin, by feature


class References:
    """Of the archives in a store; each is read once."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.found: dict[tuple[str, int, int], Shares] = {}

    def shares(self, archive: str) -> Shares:
        """Empty for an archive that says nothing of its validation data, or cannot be read."""
        path = self.store / Path(archive).name
        if not path.is_file():
            return {}
        state = path.stat()
        key = (path.name, state.st_mtime_ns, state.st_size)
        if key not in self.found:
            try:
                self.found[key] = shares_of(Archive.read(path).card.get("drift", {}))
            except (DeployError, AttributeError, KeyError, TypeError, ZeroDivisionError):
                self.found[key] = {}
        return self.found[key]

    def metric(self, models: Iterable[ModelStatus]) -> GaugeMetricFamily:
        expected = GaugeMetricFamily(
            "bundle_drift_expected_share",
            "Share of the validation data in a bin.",
            labels=["model", "version", "feature", "bin"],
        )
        for model in models:
            if not is_explainer(model.name):
                for feature, shares in self.shares(model.archive).items():
                    for number, share in enumerate(shares):
                        expected.add_metric([model.name, model.version, feature, str(number)], share)
        return expected


def shares_of(histograms: Mapping[str, Mapping[str, Sequence[float]]]) -> Shares:
    """histograms: of a model card."""
    return {
        name: [max(FLOOR, count / sum(found["counts"])) for count in found["counts"]]
        for name, found in histograms.items()
    }


def stability_index(expected: Sequence[float], counts: Sequence[float]) -> float:
    """The population stability index: Σ (a - e) ln(a / e) over the bins' shares, 0 where they are the same.

    Naeem Siddiqi, Credit Risk Scorecards (Wiley 2006); it is the divergence of Jeffreys (1946). expected: shares, none
    below FLOOR. counts: of the bins, one at least.
    """
    total = sum(counts)
    actual = [max(FLOOR, count / total) for count in counts]
    return sum((a - e) * math.log(a / e) for a, e in zip(actual, expected, strict=True))
