"""Policies of reinforcement learning: an observation in, or several of them, and an action out for each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from handlers.acceleration.equivalence import by_norm, by_probabilities
from handlers.artifact import LoadError
from handlers.base import Handler
from handlers.errors import InternalError, InvalidInput, TooLarge
from handlers.formats.preprocessing.policy import shape_of
from handlers.loader import load_model
from handlers.networks.outputs import Outputs
from handlers.policy.observation import observations_in
from handlers.protocol.payload import InputType, Payload
from handlers.protocol.response import Response, to_json
from handlers.ranking import softmax

MAX_SEED = 2**63 - 1
LARGEST = float(np.finfo(np.float32).max)
OUTPUTS = {"logits": ("logits", "value"), "values": ("values",), "continuous": ("mean", "std", "value")}

PolicyOutput = Mapping[str, NDArray[Any]]  # by name, (N, …) each; empty where a number is not finite


@dataclass(frozen=True)
class PolicyInput:
    """values: float32 (N, …). several: whether they came as a batch, and are answered as one.

    seed: of the sampling, None to leave it to chance.
    """

    values: NDArray[np.float32]
    several: bool
    deterministic: bool
    seed: int | None


class Policy(Handler[PolicyInput, PolicyOutput]):
    """The model's output for observations (B, …), by the artifact's `action`:

    {"kind": "discrete", "count": n, "outputs": "logits"} — (logits (B, n), value (B,)): a distribution over actions.
    {"kind": "discrete", "count": n, "outputs": "values"} — values (B, n), as a Q-network gives them. Its policy takes
        the action of the highest value: there are no probabilities to report, and nothing to draw from.
    {"kind": "continuous", "low": […], "high": […]} — (mean (B, n), std (B, n), value (B,)): a diagonal Gaussian,
        whose actions are clipped to the bounds; null, for all or for one element, means no bound.
    """

    input_type = InputType.TENSOR

    def load(self) -> None:
        observation = self.artifact.preprocessing["observation"]
        self.shape = tuple(observation["shape"])
        self.low = bounds(observation.get("low"), self.shape, -LARGEST)
        self.high = bounds(observation.get("high"), self.shape, LARGEST)
        self.action = self.artifact.preprocessing["action"]
        discrete = self.action["kind"] == "discrete"
        if not discrete:
            low, high = self.action["low"], self.action["high"]
            shape = tuple(shape_of(high if low is None else low))
            self.action_bounds = bounds(low, shape, -LARGEST), bounds(high, shape, LARGEST)
        self.outputs = OUTPUTS[self.action.get("outputs", "logits") if discrete else "continuous"]
        self.deterministic = bool(self.options["deterministic"])
        self.max_observations = int(self.limits["max_observations"])
        self.accelerate.batch_size = self.max_observations  # of one request, in one call
        example = torch.linspace(-1, 1, math.prod(self.shape)).view(1, *self.shape)
        logits = by_probabilities(lambda outputs: [outputs[0].softmax(1)])
        self.forward = self.accelerate(self.build, example, judge=logits if "logits" in self.outputs else by_norm)
        if "values" in self.outputs and not self.deterministic:
            raise LoadError("options.deterministic: got false, but action values are no distribution to draw from")

    def max_json_values(self) -> int:
        """The observations of a request twice over, so that a few too many are counted, and what stands beside them."""
        return 2 * self.max_observations * math.prod(self.shape) + 32 * int(self.limits["max_instances"])

    def build(self) -> Outputs:
        return Outputs(load_model(self.artifact, self.device)).eval()

    def decode(self, payload: Payload) -> PolicyInput:
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
        return PolicyInput(values if several else values[None], several, deterministic, seed)

    def predict(self, items: Sequence[PolicyInput]) -> Sequence[PolicyOutput]:
        """The model's outputs for each item's observations, with probabilities in the place of logits."""
        observations = np.concatenate([item.values for item in items])
        parts: list[tuple[NDArray[np.float32], ...]] = []
        for first in range(0, len(observations), self.max_observations):
            part = torch.from_numpy(observations[first : first + self.max_observations])
            parts.append(tuple(output.cpu().numpy() for output in self.forward(part.to(self.device))))
        whole = parts[0] if len(parts) == 1 else [np.concatenate(columns) for columns in zip(*parts, strict=True)]
        if len(whole) != len(self.outputs):
            raise InternalError(f"the model returned {len(whole)} tensors; wanted {', '.join(self.outputs)}")
        finite = is_finite(whole)
        named: dict[str, NDArray[Any]] = dict(zip(self.outputs, whole, strict=True))
        if "logits" in named:
            named["probabilities"] = softmax(named.pop("logits").astype(np.float64))
        outputs: list[PolicyOutput] = []
        start = 0
        for item in items:
            end = start + len(item.values)
            own = {name: values[start:end] for name, values in named.items()}
            outputs.append(own if finite or is_finite(own.values()) else {})
            start = end
        return outputs

    def encode(self, item: PolicyInput, output: PolicyOutput, media_type: str) -> Response:
        if not output:
            raise InternalError("the model's output for this input is not finite")
        bodies = self.answers(item, output)
        body = {"predictions": bodies} if item.several else bodies[0]
        return Response(to_json(body), classes=[body["label"] for body in bodies if "label" in body])

    def answers(self, item: PolicyInput, outputs: PolicyOutput) -> list[dict[str, Any]]:
        """A body for each observation."""
        columns: dict[str, Iterable[Any]]
        if self.action["kind"] == "continuous":
            mean, std = outputs["mean"], outputs["std"]
            drawn = mean if item.deterministic else np.stack(list(map(normal, generators(item), mean, std)))
            actions = np.clip(drawn, *self.action_bounds)
            columns = {"action": actions, "mean": mean, "std": std, "value": outputs["value"].ravel().tolist()}
        elif "values" in outputs:
            values = outputs["values"]
            columns = {"action": values.argmax(axis=1).tolist(), "values": values, "value": values.max(axis=1)}
        else:
            probabilities = outputs["probabilities"]
            chosen = probabilities.argmax(axis=1).tolist()
            if not item.deterministic:
                chosen = list(map(choice, generators(item), probabilities))
            columns = {
                "action": chosen,
                "probabilities": probabilities.tolist(),
                "value": outputs["value"].ravel().tolist(),
            }
        if self.labels:
            columns["label"] = [self.labels[action] for action in columns["action"]]
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def is_finite(arrays: Iterable[NDArray[Any]]) -> bool:
    return all(np.isfinite(each).all() for each in arrays)


def generators(item: PolicyInput) -> Iterator[np.random.Generator]:
    """One for each observation of a request, which draw independently; the first draws as one that came alone."""
    for position in range(len(item.values)):
        yield np.random.default_rng(None if item.seed is None else (item.seed, position))


def normal(random: np.random.Generator, mean: NDArray[np.float32], std: NDArray[np.float32]) -> NDArray[np.float64]:
    return random.normal(mean, std)


def choice(random: np.random.Generator, probabilities: NDArray[np.float64]) -> int:
    return int(random.choice(len(probabilities), p=probabilities))


def bounds(values: Any, shape: tuple[int, ...], unbounded: float) -> NDArray[np.float32]:
    """The environment's bounds; None, for the whole or for one element, means no bound."""
    if values is None:
        return np.full(shape, unbounded, dtype=np.float32)
    flat = [unbounded if value is None else value for value in np.array(values, dtype=object).ravel()]
    return np.clip(np.array(flat, dtype=np.float64), -LARGEST, LARGEST).astype(np.float32).reshape(shape)
