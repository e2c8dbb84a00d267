"""Policies of reinforcement learning: an observation in, an action out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from handlers.accept import negotiate
from handlers.answer import JSON, Answer, to_json
from handlers.base import Handler
from handlers.errors import InternalError, InvalidInput
from handlers.payload import Kind, Payload

MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class Observation:
    """values: float32 of the environment's shape. seed: of the sampling, None to leave it to chance."""

    values: NDArray[np.float32]
    deterministic: bool
    seed: int | None


class Policy(Handler[Observation, tuple[NDArray[np.float32], ...]]):
    """For models that return (logits, value) over discrete actions, or (mean, std, value) over continuous ones."""

    kind = Kind.TENSOR

    def load(self) -> None:
        super().load()
        observation = self.artifact.preprocessing["observation"]
        self.shape = tuple(observation["shape"])
        self.low = bounds(observation.get("low"), self.shape, -np.inf)
        self.high = bounds(observation.get("high"), self.shape, np.inf)
        self.action = self.artifact.preprocessing["action"]
        self.deterministic = bool(self.options.get("deterministic", True))

    def decode(self, payload: Payload) -> Observation:
        if not isinstance(payload.data, list):
            raise InvalidInput("the data is no list of numbers")
        try:
            with np.errstate(over="ignore"):  # what overflows becomes infinite, and that is refused below
                values = np.array(payload.data, dtype=np.float32)
        except (TypeError, ValueError, OverflowError):
            raise InvalidInput("the observation is ragged or holds something other than numbers") from None
        if values.shape != self.shape:
            raise InvalidInput(f"the observation has shape {list(values.shape)}; wanted {list(self.shape)}")
        if not np.isfinite(values).all():
            raise InvalidInput("the observation holds values that are not finite")
        if (values < self.low).any() or (values > self.high).any():
            raise InvalidInput("the observation is outside the environment's bounds")
        seed = payload.integer("seed", 0, 0, MAX_SEED) if "seed" in payload.parameters else None
        return Observation(values, payload.flag("deterministic", self.deterministic), seed)

    def predict(self, items: Sequence[Observation]) -> Sequence[tuple[NDArray[np.float32], ...]]:
        """The model's outputs for each observation, without the batch dimension."""
        observations = torch.from_numpy(np.stack([item.values for item in items])).to(self.device)
        outputs: tuple[Tensor, ...] = self.model(observations)
        return list(zip(*(output.float().cpu().numpy() for output in outputs), strict=True))

    def encode(self, item: Observation, output: tuple[NDArray[np.float32], ...], accept: str) -> Answer:
        negotiate(accept, (JSON,))
        if not all(np.isfinite(part).all() for part in output):
            raise InternalError("the model's output for this input is not finite")
        random = np.random.default_rng(item.seed)
        answer = self.discrete if self.action["kind"] == "discrete" else self.continuous
        body = answer(item, output, random)
        return Answer(to_json(body), classes=[body["label"]] if "label" in body else [])

    def discrete(
        self, item: Observation, output: tuple[NDArray[np.float32], ...], random: np.random.Generator
    ) -> dict[str, Any]:
        logits, value = output
        weights = np.exp(logits.astype(np.float64) - logits.max())
        probabilities = weights / weights.sum()
        action = probabilities.argmax() if item.deterministic else random.choice(len(probabilities), p=probabilities)
        body: dict[str, Any] = {"action": int(action), "probabilities": probabilities, "value": float(value)}
        if self.labels:
            body["label"] = self.labels[action]
        return body

    def continuous(
        self, item: Observation, output: tuple[NDArray[np.float32], ...], random: np.random.Generator
    ) -> dict[str, Any]:
        mean, std, value = output
        drawn = mean if item.deterministic else random.normal(mean, std)
        action = np.clip(drawn, np.float32(self.action["low"]), np.float32(self.action["high"]))
        return {"action": action, "mean": mean, "std": std, "value": float(value)}


def bounds(values: list[float | None] | None, shape: tuple[int, ...], unbounded: float) -> NDArray[np.float32]:
    """The environment's bounds; None, for the whole or for one element, is no bound."""
    if values is None:
        return np.full(shape, unbounded, dtype=np.float32)
    flat = [unbounded if value is None else value for value in np.array(values, dtype=object).ravel()]
    return np.array(flat, dtype=np.float32).reshape(shape)
