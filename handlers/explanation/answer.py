"""The part of an answer that all explanations share."""

from __future__ import annotations

from typing import Any

from handlers.explanation.asked import Asked
from handlers.explanation.attribution import Attribution


def described(asked: Asked, attribution: Attribution, label: str, index: int, runs: int) -> dict[str, Any]:
    """label, index: of the explained class, whose score is the model's output before softmax or sigmoid."""
    return {
        "method": asked.method,
        "target": {"label": label, "index": index, "score": attribution.score},
        "evaluations": runs,
        **({"n_steps": attribution.n_steps} if attribution.n_steps else {}),
        **({"completeness": attribution.completeness.to_dict()} if attribution.completeness else {}),
    }
