"""A classifier's logits together with what one of its layers computed on the way."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names


class WithEmbedding(nn.Module):
    """images (B, 3, H, W) → logits (B, C) beside the layer's output (B, D), flattened.

    The network is traced into a graph that returns both (torchvision.models.feature_extraction): no hooks.
    """

    def __init__(self, network: nn.Module, layer: str) -> None:
        """layer: a name as `layers` gives them, or the dotted name of a module. ValueError for any other."""
        super().__init__()
        known = layers(network)
        if not any(f"{name}.".startswith(f"{layer}.") for name in known):
            raise ValueError(
                f"embedding: the network has no layer {layer!r}; its last ones are {', '.join(known[-8:])}"
            )
        self.last = known[-1]
        self.extractor = create_feature_extractor(network, {self.last: "logits", layer: "embedding"})

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = self.extractor(images)
        return found["logits"], found["embedding"].flatten(1)


def layers(network: nn.Module) -> list[str]:
    """The names of everything the network computes in evaluation mode, in the order it does."""
    _, names = get_graph_node_names(network)
    return names


def embedding_layer(network: nn.Module) -> str:
    """The name of what the head, the network's last layer with weights, takes: a picture's usual embedding."""
    names = layers(network)
    return names[names.index(head(network)) - 1]


def head(network: nn.Module) -> str:
    """The dotted name of the last linear or convolutional layer: in all of torchvision's classifiers, the head."""
    return [name for name, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))][-1]
