"""The tasks on observations of an environment."""

from __future__ import annotations

from archiver.tasks.limits import TensorLimits
from archiver.tasks.options import PolicyOptions
from archiver.tasks.task import JSON, Task

ACTION = {
    "action": "integer or numbers",
    "label": "string, of a discrete action that has one",
    "probabilities": "numbers, of discrete actions; a Q-network has none",
    "values": "numbers, of each discrete action, from a Q-network",
    "mean": "numbers, of continuous actions",
    "std": "numbers, of continuous actions",
    "value": "number: the discounted return expected from here; of a Q-network the highest of its values",
    "predictions": "where several observations came: one of these for each",
}

POLICY: dict[str, Task] = {
    "policy": Task(
        handler="handlers.policy.policy.Policy",
        limits=TensorLimits,
        options=PolicyOptions,
        content_types=(JSON,),
        field="data",
        accept=(JSON,),
        parameters={"deterministic": "boolean; a Q-network's is always true", "seed": "integer, of drawn actions"},
        answer=ACTION,
        graph=True,
        classes=False,
    ),
}
