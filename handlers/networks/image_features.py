"""One vector per image out of any network over images: a backbone, a classifier's layer, or a tower of transformers."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from handlers.networks.layers import WithLayers

Pooling = Literal["model", "first", "mean"]


class LayerOutput(nn.Module):
    """images (B, 3, H, W) → the output of one of a classifier's layers, in its own shape."""

    def __init__(self, network: nn.Module, layer: str) -> None:
        """ValueError where the network has no such layer."""
        super().__init__()
        self.extractor = WithLayers(network, [(layer, "map")])

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.extractor(images)[1]
        return found


class ImageFeatures(nn.Module):
    """Normalised images (B, 3, H, W) → (B, D).

    pooling: "model" takes the model's own vector: of CLIP and SigLIP the image's place beside the texts, of other
    models of transformers `pooler_output`, of any other network its output, maps (B, C, H, W) averaged. "first" and
    "mean" make one of its last states (B, tokens, D): that of the first token, often the class token, or the mean.
    """

    def __init__(self, network: nn.Module, pooling: Pooling = "model") -> None:
        super().__init__()
        self.network = network
        self.pooling = pooling

    def forward(self, images: Tensor) -> Tensor:
        """ValueError where the network gives nothing that the pooling could take."""
        states = self.states(images)
        if states is None:
            raise ValueError("pooling: the model has no vector of its own; wanted options.pooling first or mean")
        if states.ndim == 4:
            return states.mean(dim=(2, 3))
        if states.ndim == 3 and self.pooling != "model":
            return states[:, 0] if self.pooling == "first" else states.mean(dim=1)
        if states.ndim != 2:
            raise ValueError(
                f"pooling: the model gives {list(states.shape[1:])} for an image; wanted a vector, maps, or a state "
                "for each token with options.pooling first or mean"
            )
        return states

    def states(self, images: Tensor) -> Tensor | None:
        """The model's vector, or what one is made of."""
        network: Any = self.network
        if not hasattr(network, "base_model_prefix"):  # not one of transformers
            output = network(images)
            found: Tensor = output[0] if isinstance(output, tuple) else output
            return found
        if self.pooling == "model" and hasattr(network, "get_image_features"):
            output = network.get_image_features(pixel_values=images)
            return output if isinstance(output, Tensor) else output.pooler_output
        output = getattr(network, "vision_model", network)(pixel_values=images)
        if self.pooling == "model":
            vector: Tensor | None = getattr(output, "pooler_output", None)
            return vector
        states: Tensor = output.last_hidden_state
        return states
