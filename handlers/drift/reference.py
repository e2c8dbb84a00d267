"""The validation data as histograms: their bins are those into which a worker counts."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CLASS, CONFIDENCE = "class", "confidence"


@dataclass(frozen=True)
class Feature:
    """A number, by the `bounds` of its bins, as a histogram's buckets have them, or the class, by its `labels`.

    The last bin takes what is above the bounds, or has another label.
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
    """By their names, as the archiver has written them into a model card; none where it has had no validation data."""
    return {
        name: Feature(tuple(found.get("bounds", ())), tuple(found.get("labels", ())))
        for name, found in card.get("drift", {}).items()
    }
