"""A classifier's logits together with what one of its layers computed on the way."""

from __future__ import annotations

import inspect
import math

import torchvision
from torch import Tensor, fx, nn
from torchvision.models.feature_extraction import NodePathTracer


class WithEmbedding(nn.Module):
    """images (B, 3, H, W) → logits (B, C) beside the layer's output (B, D), flattened.

    The network is traced into a graph that returns both, as torchvision.models.feature_extraction does: no hooks.
    """

    def __init__(self, network: nn.Module, layer: str) -> None:
        """layer: a name as `layers` gives them, or the dotted name of a module. ValueError for any other."""
        super().__init__()
        tracer, graph = traced(network)
        nodes = {name: node for node, name in tracer.node_to_qualname.items()}
        found = [node for name, node in nodes.items() if f"{name}.".startswith(f"{layer}.")]
        if not found:
            raise ValueError(
                f"embedding: the network has no layer {layer!r}; its last ones are {', '.join(list(nodes)[-8:])}"
            )
        *_, logits = nodes.values()
        self.extractor = fx.GraphModule(tracer.root, graph)
        [returned] = (node for node in graph.nodes if node.op == "output")
        returned.args = ((logits, found[-1]),)
        graph.eliminate_dead_code()
        self.extractor.recompile()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits, embedding = self.extractor(images)
        return logits, embedding.flatten(1)


def traced(network: nn.Module) -> tuple[NodePathTracer, fx.Graph]:
    """The network's graph in evaluation mode, and its tracer, which has torchvision's name for each node.

    torchvision's own create_feature_extractor traces both modes twice, which takes ten seconds for MaxViT.
    """
    operators = [
        kind for _, kind in inspect.getmembers(torchvision.ops, inspect.isclass) if issubclass(kind, nn.Module)
    ]
    tracer = NodePathTracer(autowrap_modules=(math, torchvision.ops), leaf_modules=operators)
    training = network.training
    graph = tracer.trace(network.eval())
    network.train(training)
    return tracer, graph


def layers(network: nn.Module) -> list[str]:
    """The names of everything the network computes in evaluation mode, in the order it does."""
    return list(traced(network)[0].node_to_qualname.values())


def embedding_layer(network: nn.Module) -> str:
    """The name of what the head, the network's last layer with weights, takes: an image's usual embedding."""
    names = layers(network)
    return names[names.index(head(network)) - 1]


def head(network: nn.Module) -> str:
    """The dotted name of the last linear or convolutional layer: in all of torchvision's classifiers, the head."""
    return [name for name, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))][-1]
