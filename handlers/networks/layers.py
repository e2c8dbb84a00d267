"""A classifier's logits together with what some of its layers computed on the way."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any, Literal

import torchvision
from torch import Tensor, fx, nn
from torchvision.models.feature_extraction import NodePathTracer

# How a layer's output is given: as it is, or averaged over its positions, one number per channel.
Form = Literal["map", "pooled"]
PRE_LOGITS = "pre_logits"  # timm's own name of what a head's last layer takes


class WithLayers(nn.Module):
    """images (B, 3, H, W) → logits (B, C), and the output of each layer: (B, …), or (B, D) where it is pooled.

    The network is traced into a graph that returns them all, as torchvision.models.feature_extraction does: no hooks.
    """

    def __init__(self, network: nn.Module, layers: Sequence[tuple[str, Form]]) -> None:
        """layers: names as `layers` below gives them, the dotted names of modules, or "pre_logits" of one of timm's
        networks. ValueError for any other."""
        super().__init__()
        self.forms = [form for _, form in layers]
        self.extractor: nn.Module
        if is_of_timm(network) and {name for name, _ in layers} == {PRE_LOGITS}:
            self.extractor = PreLogits(network, len(layers))
            return
        tracer, graph = traced(network)
        nodes = {name: node for node, name in tracer.node_to_qualname.items()}
        if is_of_timm(network) and head(network) in nodes:
            before = list(nodes)[list(nodes).index(head(network)) - 1]
            nodes = {PRE_LOGITS: nodes[before], **nodes}
        *_, logits = nodes.values()
        extractor = fx.GraphModule(tracer.root, graph)
        [returned] = (node for node in graph.nodes if node.op == "output")
        returned.args = ((logits, *(node_of(nodes, name) for name, _ in layers)),)
        graph.eliminate_dead_code()
        extractor.recompile()
        self.extractor = extractor

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        logits, *outputs = self.extractor(images)
        side = images if isinstance(images, Tensor) else images[0]
        height, width = side.shape[-2:]
        given = (
            pooled(output, height / width) if form == "pooled" else output
            for output, form in zip(outputs, self.forms, strict=True)
        )
        return logits, *given


class PreLogits(nn.Module):
    """The same of one of timm's networks, most of which cannot be traced, by its own two halves.

    copies: of what its head's last layer takes.
    """

    def __init__(self, network: nn.Module, copies: int) -> None:
        super().__init__()
        self.network, self.copies = network, copies

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        network: Any = self.network
        features = network.forward_features(images)
        before = network.forward_head(features, pre_logits=True)
        return network.forward_head(features), *[before] * self.copies


def is_of_timm(network: nn.Module) -> bool:
    return all(hasattr(network, name) for name in ("forward_features", "forward_head", "get_classifier"))


def node_of(nodes: dict[str, fx.Node], layer: str) -> fx.Node:
    """The node of that name, or the last of the module of that name."""
    found = [node for name, node in nodes.items() if f"{name}.".startswith(f"{layer}.")]
    if not found:
        raise ValueError(f"the network has no layer {layer!r}; its last ones are {', '.join(list(nodes)[-8:])}")
    return found[-1]


def pooled(output: Tensor, aspect: float) -> Tensor:
    """A layer's output (B, …) averaged over its positions: (B, channels).

    aspect: height / width of the network's input. Tokens have their channels last, (B, tokens, channels); so do maps of
    transformers, (B, height, width, channels), which are told from others by which two axes have the input's aspect.
    ValueError for an output of another number of axes.
    """
    if output.ndim == 2:
        return output
    if output.ndim == 3:
        return output.mean(dim=1)
    if output.ndim != 4:
        raise ValueError(f"an output of {output.ndim} axes has no positions to pool; ask for it as a map")
    _, one, two, three = map(int, output.shape)
    last = abs(math.log(one / two / aspect)) < abs(math.log(two / three / aspect))
    return output.mean(dim=(1, 2) if last else (2, 3))


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
    if is_of_timm(network):
        return PRE_LOGITS
    names = layers(network)
    return names[names.index(head(network)) - 1]


def head(network: nn.Module) -> str:
    """The dotted name of the last linear or convolutional layer: in all of torchvision's classifiers, the head."""
    return [name for name, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))][-1]
