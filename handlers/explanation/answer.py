"""The part of an answer that every explanation has."""

from __future__ import annotations

from typing import Any

from handlers.explanation.asked import Asked
from handlers.explanation.attribution import Attribution


def described(asked: Asked, found: Attribution, label: str, index: int, runs: int) -> dict[str, Any]:
    """label, index: of the class that is explained; score: the model's for it, before softmax or sigmoid."""
    return {
        "method": asked.method,
        "target": {"label": label, "index": index, "score": found.score},
        "evaluations": runs,
        **({"n_steps": found.n_steps} if found.n_steps else {}),
        **({"completeness": found.completeness.to_dict()} if found.completeness else {}),
    }
