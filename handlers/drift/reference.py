"""The validation data as histograms, with the bins into which a worker counts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CLASS, CONFIDENCE = "class", "confidence"


@dataclass(frozen=True)
class Feature:
    """The bins of a number, by their upper `bounds` (inclusive), or of the class, by its `labels`.

    The last bin takes values above the bounds, or other labels.
    """

    bounds: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def bins(self) -> int:
        return len(self.bounds or self.labels) + 1

    def bin_of(self, value: float | str) -> int:
        if isinstance(value, str):
            return self.labels.index(value) if value in self.labels else len(self.labels)
        return bisect_left(self.bounds, value)


def features_of(card: Mapping[str, Any]) -> dict[str, Feature]:
    """The features by name, as the archiver wrote them into a model card; empty if it had no validation data."""
    return {
        name: Feature(tuple(bins.get("bounds", ())), tuple(bins.get("labels", ())))
        for name, bins in card.get("drift", {}).items()
    }
