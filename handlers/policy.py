"""Policies of reinforcement learning: an observation in, or several of them, and an action out for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handlers.accept import negotiate
from handlers.answer import JSON, Answer, to_json
from handlers.base import Handler
from handlers.errors import InternalError, InvalidInput, TooLarge
from handlers.loader import LoadError, load_model
from handlers.networks.outputs import Outputs
from handlers.observation import observations_in
from handlers.payload import Kind, Payload

MAX_SEED = 2**63 - 1
OUTPUTS = {"logits": ("logits", "value"), "values": ("values",), "continuous": ("mean", "std", "value")}


@dataclass(frozen=True)
class Observations:
    """values: float32 (N, …). several: whether they came as a batch, and are answered as one.

    seed: of the sampling, None to leave it to chance.
    """

    values: NDArray[np.float32]
    several: bool
    deterministic: bool
    seed: int | None


class Policy(Handler[Observations, tuple[NDArray[np.float32], ...]]):
    """What the model returns for observations (B, …), by the artifact's `action`:

    {"kind": "discrete", "count": n, "outputs": "logits"} — (logits (B, n), value (B,)): a distribution over actions.
    {"kind": "discrete", "count": n, "outputs": "values"} — values (B, n), as a Q-network gives them. Its policy takes
        the action of the highest value: there are no probabilities to report, and nothing to draw from.
    {"kind": "continuous", "low": […], "high": […]} — (mean (B, n), std (B, n), value (B,)): a diagonal Gaussian,
        whose actions are clipped to the bounds.
    """

    kind = Kind.TENSOR

    def load(self) -> None:
        observation = self.artifact.preprocessing["observation"]
        self.shape = tuple(observation["shape"])
        self.forward = self.accelerate(self.build, torch.linspace(-1, 1, math.prod(self.shape)).view(1, *self.shape))
        self.low = bounds(observation.get("low"), self.shape, -np.inf)
        self.high = bounds(observation.get("high"), self.shape, np.inf)
        self.action = self.artifact.preprocessing["action"]
        discrete = self.action["kind"] == "discrete"
        self.outputs = OUTPUTS[self.action.get("outputs", "logits") if discrete else "continuous"]
        self.deterministic = bool(self.options.get("deterministic", True))
        self.max_observations = int(self.limits.get("max_observations", 256))
        if "values" in self.outputs and not self.deterministic:
            raise LoadError("options.deterministic: got false, but action values are no distribution to draw from")

    def build(self) -> Outputs:
        return Outputs(load_model(self.artifact, self.device)).eval()

    def decode(self, payload: Payload) -> Observations:
        values = observations_in(payload.data, self.shape, self.low, self.high)
        several = values.ndim > len(self.shape)
        if several and len(values) > self.max_observations:
            raise TooLarge(f"{len(values)} observations in one request; the limit is {self.max_observations}")
        seed = payload.integer("seed", 0, 0, MAX_SEED) if "seed" in payload.parameters else None
        deterministic = payload.flag("deterministic", self.deterministic)
        if "values" in self.outputs and not deterministic:
            raise InvalidInput(
                "deterministic: got false, but this model's action values are no distribution to draw from"
            )
        return Observations(values if several else values[None], several, deterministic, seed)

    def predict(self, items: Sequence[Observations]) -> Sequence[tuple[NDArray[np.float32], ...]]:
        """The model's outputs for each item's observations, (N, …) each."""
        observations = torch.from_numpy(np.concatenate([item.values for item in items]))
        columns: list[tuple[NDArray[np.float32], ...]] = []
        for part in observations.split(self.max_observations):
            columns.append(tuple(output.cpu().numpy() for output in self.forward(part.to(self.device))))
        whole = [np.concatenate(column) for column in zip(*columns, strict=True)]
        ends = np.cumsum([len(item.values) for item in items])[:-1]
        return list(zip(*(np.split(output, ends) for output in whole), strict=True))

    def encode(self, item: Observations, output: tuple[NDArray[np.float32], ...], accept: str) -> Answer:
        negotiate(accept, (JSON,))
        if not all(np.isfinite(part).all() for part in output):
            raise InternalError("the model's output for this input is not finite")
        if len(output) != len(self.outputs):
            raise InternalError(f"the model returned {len(output)} tensors; wanted {', '.join(self.outputs)}")
        bodies = [
            self.answer(item, position, dict(zip(self.outputs, row, strict=True)))
            for position, row in enumerate(zip(*output, strict=True))
        ]
        body = {"predictions": bodies} if item.several else bodies[0]
        return Answer(to_json(body), classes=[body["label"] for body in bodies if "label" in body])

    def answer(self, item: Observations, position: int, row: dict[str, Any]) -> dict[str, Any]:
        """The answer for one observation. position: in its request, whose observations draw independently.

        The observation at position 0 draws as one that came alone.
        """
        random = np.random.default_rng(None if item.seed is None else (item.seed, position))
        if self.action["kind"] == "continuous":
            drawn = row["mean"] if item.deterministic else random.normal(row["mean"], row["std"])
            action = np.clip(drawn, np.float32(self.action["low"]), np.float32(self.action["high"]))
            return {"action": action, "mean": row["mean"], "std": row["std"], "value": float(row["value"])}
        if "values" in row:
            action = int(row["values"].argmax())
            return self.labelled({"action": action, "values": row["values"], "value": row["values"][action]})
        weights = np.exp(row["logits"].astype(np.float64) - row["logits"].max())
        probabilities = weights / weights.sum()
        action = int(probabilities.argmax() if item.deterministic else random.choice(len(weights), p=probabilities))
        return self.labelled({"action": action, "probabilities": probabilities, "value": float(row["value"])})

    def labelled(self, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "label": self.labels[body["action"]]} if self.labels else body


def bounds(values: Any, shape: tuple[int, ...], unbounded: float) -> NDArray[np.float32]:
    """The environment's bounds; None, for the whole or for one element, is no bound."""
    if values is None:
        return np.full(shape, unbounded, dtype=np.float32)
    flat = [unbounded if value is None else value for value in np.array(values, dtype=object).ravel()]
    return np.array(flat, dtype=np.float32).reshape(shape)
