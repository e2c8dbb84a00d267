"""The options that a request sets for an explanation, within the archive's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from handlers.errors import InvalidInput, shown
from handlers.protocol.payload import Payload

INTEGRATED_GRADIENTS, SALIENCY, OCCLUSION, GRAD_CAM = "integrated-gradients", "saliency", "occlusion", "grad-cam"
# Methods that need the gradient of a score.
BY_GRADIENT = (INTEGRATED_GRADIENTS, SALIENCY, GRAD_CAM)


@dataclass(frozen=True)
class ExplanationLimits:
    """The limits under `explain` in the archive's spec.

    max_evaluations: runs of the model for one request. max_seconds: for the whole request. n_steps: of integrated
    gradients, if a request does not set them.
    """

    max_evaluations: int
    max_seconds: float
    n_steps: int

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> ExplanationLimits:
        return cls(int(settings["max_evaluations"]), float(settings["max_seconds"]), int(settings["n_steps"]))

    def steps(self, payload: Payload, method: str) -> tuple[int, bool]:
        """The n_steps of a request, read only if the method has steps, and whether more may be taken."""
        if method != INTEGRATED_GRADIENTS:
            return 1, False
        default = min(self.n_steps, self.max_evaluations)
        return payload.integer("n_steps", default, 1, self.max_evaluations), "n_steps" not in payload.parameters

    def check(self, evaluations: int, what: str, remedy: str) -> None:
        """Raise InvalidInput for more runs of the model than are allowed."""
        if evaluations > self.max_evaluations:
            raise InvalidInput(
                f"{what}: {evaluations} runs of the model, the limit is {self.max_evaluations}; wanted {remedy}"
            )


@dataclass(frozen=True)
class Asked:
    """target: the class's index, None for the predicted one. evaluations: the fewest runs of the model that it takes.
    refine: whether to take more n_steps if the attributions are not complete.

    window, stride: of the occlusion, in the input's own steps, by dimension.
    """

    method: str
    target: int | None
    n_steps: int = 1
    refine: bool = False
    window: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    evaluations: int = 1


def read_target(payload: Payload, labels: Sequence[str]) -> int | None:
    """The class to explain, given as a label or else as an index; None if the request names none."""
    value = payload.parameters.get("target")
    if value is None:
        return None
    if isinstance(value, str) and value in labels:
        return labels.index(value)
    digits = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if digits.isascii() and digits.isdecimal() and len(digits) < 10 and int(digits) < len(labels):
        return int(digits)
    raise InvalidInput(f"target: got {shown(value)}, wanted a label of the model or an index below {len(labels)}")


def read_method(payload: Payload, methods: Sequence[str], differentiable: bool) -> str:
    """methods: the task's, the default first. differentiable: whether the model's scores have gradients."""
    offered = tuple(method for method in methods if differentiable or method not in BY_GRADIENT)
    value = payload.parameters.get("method", offered[0])
    if value in methods and value not in offered:
        raise InvalidInput(
            f"method: {value} needs gradients, which the archive's ONNX file does not give; wanted {', '.join(offered)}"
        )
    return payload.choice("method", offered[0], offered)
