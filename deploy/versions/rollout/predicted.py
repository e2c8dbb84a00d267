"""Classes predicted by the versions of a model, from TorchServe's metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from deploy.overview.counters import samples
from deploy.overview.look import fetched

Key = tuple[str, str]  # version, class


class PredictedClasses:
    """Counts predictions on several servers since the last query.

    of_one: whether every answer so far has had at most one class. Several classes in one answer are not independent, so
    a test would mistake a single image of a crowd for evidence.
    """

    def __init__(self, pages: Sequence[str], model: str) -> None:
        self.pages, self.model = pages, model
        self.of_one = bool(pages)
        self.seen: Counter[Key] = Counter()
        self.answers = 0

    def skip(self) -> None:
        """Ignore what has been counted so far."""
        self.since()

    def since(self) -> Counter[Key]:
        """Answers by (version, class) since the last query; empty if they cannot be compared."""
        now, answers = Counter[Key](), 0
        for page in self.pages:
            text = fetched(page)
            if text is None:
                return Counter()
            for name, labels, value in samples(text):
                if labels.get("ModelName") != self.model:
                    continue
                if name == "PredictedClass":
                    now[labels["ModelVersion"], labels["Class"]] += int(value)
                elif name == "ModelRequests" and labels["Code"] == "200":
                    answers += int(value)
        found = now - self.seen
        if found.total() > answers - self.answers:
            self.of_one = False
        self.seen, self.answers = now, answers
        return found if self.of_one else Counter()
