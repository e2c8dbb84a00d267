"""Explanations for images: which parts of an image speak for a class, and which against it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as F

from handlers.base import Handler
from handlers.errors import InvalidInput, NotOffered
from handlers.explanation.answer import described
from handlers.explanation.asked import (
    GRAD_CAM,
    INTEGRATED_GRADIENTS,
    OCCLUSION,
    SALIENCY,
    Asked,
    read_method,
    read_target,
)
from handlers.explanation.attribution import Attribution, Attributor, Score, positions
from handlers.explanation.explainer import Explainer
from handlers.explanation.feature_maps import last_map
from handlers.explanation.grid import summed
from handlers.explanation.heat_map import over_image
from handlers.explanation.image_region import Box
from handlers.protocol.payload import InputType, Payload
from handlers.protocol.response import JSON, PNG, Response, to_json

LEVELS = {"black": 0, "grey": 127, "white": 255}
BASELINES = (*LEVELS, "blur")
# Cells along the longer side of an answer's grid.
GRID = 28
MAX_GRID = 112
# Occlusion windows side by side along the shorter side; others overlap them by half.
WINDOWS = 8


@dataclass(frozen=True)
class ImageInput:
    """image: uint8 (3, height, width), as sent. input, baseline: float32 (1, 3, h, w), as the model takes them.

    box: the part of the image that the input covers, x1 y1 x2 y2. grid: cells along the longer side.
    """

    image: Tensor
    input: Tensor
    baseline: Tensor
    box: Box
    asked: Asked
    grid: int
    about: Any = None


@dataclass(frozen=True)
class ImageAttribution:
    """values: (rows, columns). target: the class's index. runs: of the model."""

    values: NDArray[np.float32]
    attribution: Attribution
    target: int
    runs: int


Task = TypeVar("Task", bound=Handler[Any, Any])


class ImageExplainer(Explainer[Task, ImageInput, ImageAttribution]):
    """A subclass defines how an image becomes the network's input, and which score explains a class."""

    input_type = InputType.MEDIA
    media_types = (JSON, PNG)
    methods: ClassVar[tuple[str, ...]] = (INTEGRATED_GRADIENTS, OCCLUSION, GRAD_CAM, SALIENCY)

    def load(self) -> None:
        super().load()
        self.refusal = ""
        self.prepare()
        self.layer: nn.Module | None = None
        self.layer_missing = "its format does not expose its layers"
        if self.refusal:
            return
        network = self.network
        if self.differentiable and not isinstance(network, torch.jit.ScriptModule):
            self.layer = last_map(network, lambda: self.look(self.example()))
            self.layer_missing = "none of its layers returns maps of the image"

    def prepare(self) -> None:
        """Inspect the loaded model; set `refusal` to the reason if it cannot be explained."""

    def warm_up(self) -> None:
        if not self.refusal:
            super().warm_up()

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """The network whose layers Grad-CAM may use."""

    @abstractmethod
    def example(self) -> Tensor:
        """An input (1, 3, h, w)."""

    @abstractmethod
    def look(self, inputs: Tensor) -> Any:
        """The model's outputs for inputs (N, 3, h, w)."""

    @abstractmethod
    def open(self, payload: Payload) -> tuple[Tensor, Tensor, Box]:
        """The image as sent, the network's input (1, 3, h, w), and its place in the image. Raises RequestError."""

    @abstractmethod
    def as_input(self, image_CHW: Tensor) -> Tensor:
        """The network's input for a decoded image, uint8 (3, height, width)."""

    @abstractmethod
    def score_of(self, item: ImageInput) -> tuple[int, Score]:
        """The class to explain, and its score: inputs (N, 3, h, w) → (N,)."""

    def about(self, payload: Payload) -> Any:
        """A task's additional parameters."""
        return None

    def decode(self, payload: Payload) -> ImageInput:
        if self.refusal:
            raise NotOffered(self.refusal)
        method = self.read_method(payload)
        target = read_target(payload, self.labels)
        steps, refine = self.explain_limits.steps(payload, method)
        baseline = "black"
        if method in (INTEGRATED_GRADIENTS, OCCLUSION):
            baseline = payload.choice("baseline", "grey", BASELINES)
        grid = payload.integer("grid", GRID, 1, MAX_GRID)
        about = self.about(payload)
        image, input_, box = self.open(payload)
        asked = Asked(method, target, steps, refine, evaluations=steps)
        if method == OCCLUSION:
            asked = self.windows(payload, asked, *input_.shape[-2:])
        return ImageInput(image, input_, self.baseline(image, input_, baseline), box, asked, grid, about)

    def read_method(self, payload: Payload) -> str:
        method = read_method(payload, self.methods, self.differentiable)
        if method == GRAD_CAM and self.layer is None:
            offered = ", ".join(name for name in self.methods if name != GRAD_CAM)
            raise InvalidInput(f"method: {GRAD_CAM} is not for this model: {self.layer_missing}; wanted {offered}")
        return method

    def windows(self, payload: Payload, asked: Asked, height: int, width: int) -> Asked:
        """The occlusion's windows, squares in pixels of the network's input."""
        shorter = min(height, width)
        side = payload.integer("window", max(1, shorter // WINDOWS), 1, shorter)
        step = payload.integer("stride", max(1, side // 2), 1, side)
        runs = positions(height, side, step) * positions(width, side, step)
        self.explain_limits.check(runs, f"window {side}, stride {step}", "a larger window and stride")
        return replace(asked, window=(3, side, side), stride=(3, step, step), evaluations=runs)

    def baseline(self, image_CHW: Tensor, input_: Tensor, kind: str) -> Tensor:
        """An input that shows nothing: an image of one level, or the input itself, blurred."""
        if kind == "blur":
            shorter = min(input_.shape[-2:])
            side = max(3, shorter // 2 | 1)
            return F.gaussian_blur(input_, [side, side]) if shorter > side // 2 else input_
        return self.as_input(torch.full_like(image_CHW, LEVELS[kind]))

    def explain_item(self, item: ImageInput, attributor: Callable[[Score], Attributor]) -> ImageAttribution:
        inputs, baseline = item.input.to(self.device), item.baseline.to(self.device)
        with torch.no_grad():
            target, score = self.score_of(item)
        by = attributor(score)
        match item.asked.method:
            case "integrated-gradients":
                attribution = by.integrated_gradients(inputs, baseline, item.asked.n_steps, item.asked.refine)
            case "occlusion":
                attribution = by.occlusion(inputs, baseline, item.asked.window, item.asked.stride)
            case "grad-cam" if self.layer is not None:
                attribution = by.grad_cam(inputs, self.layer)
            case _:
                attribution = by.saliency(inputs)
        values = attribution.values.sum(dim=0).numpy()
        return ImageAttribution(values, attribution, target, by.runs)

    def encode(self, item: ImageInput, output: ImageAttribution, media_type: str) -> Response:
        rows, columns = item.input.shape[-2:]
        cells = [max(1, round(item.grid * side / max(rows, columns))) for side in (rows, columns)]
        values = summed(output.values, *cells)
        label = self.labels[output.target]
        if media_type == PNG:
            pixels = item.image.permute(1, 2, 0).numpy()
            return Response(over_image(pixels, values, item.box), PNG, classes=[label])
        body = {
            **described(item.asked, output.attribution, label, output.target, output.runs),
            "box": item.box,
            "attributions": values,
        }
        return Response(to_json(body | self.additions(item)), classes=[label])

    def additions(self, item: ImageInput) -> dict[str, Any]:
        """The task's own part of an answer."""
        return {}
