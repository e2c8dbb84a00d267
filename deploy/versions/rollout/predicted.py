"""The classes that the versions of a model have predicted, from TorchServe's metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from deploy.overview.counters import samples
from deploy.overview.look import fetched

Key = tuple[str, str]  # version, class


class PredictedClasses:
    """Counts of several servers since the last look.

    of_one: whether each answer has had one class at most. The classes of an answer with several are not independent of
    one another, so a test would take one image of a crowd for evidence.
    """

    def __init__(self, pages: Sequence[str], model: str) -> None:
        self.pages, self.model = pages, model
        self.of_one = bool(pages)
        self.seen: Counter[Key] = Counter()
        self.answers = 0

    def skip(self) -> None:
        """Leave out what has been counted so far."""
        self.since()

    def since(self) -> Counter[Key]:
        """(version, class) → answers since the last look; nothing where they cannot be compared."""
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
