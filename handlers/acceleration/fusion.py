"""Convolutions with the batch norm, the sum and the ReLU behind them as one kernel of cuDNN."""

from __future__ import annotations

import logging
import operator
from copy import copy
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchvision.ops import FrozenBatchNorm2d

logger = logging.getLogger(__name__)

NORMS = (nn.BatchNorm2d, FrozenBatchNorm2d)
RELUS = {F.relu, torch.relu, "relu", "relu_"}
SUMS = {operator.add, operator.iadd, torch.add, "add", "add_"}


class FusedConvolution(nn.Module):
    """relu(convolution), or relu(convolution + other) of a residual block.

    cuDNN's operators are on no list of autocast's, so the type that it would choose is chosen here.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias
        self.geometry: Any = (convolution.stride, convolution.padding, convolution.dilation, convolution.groups)

    def forward(self, inputs: Tensor, other: Tensor | None = None) -> Tensor:
        kind = inputs.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.weight.dtype
        inputs, weight = inputs.to(dtype), self.weight.to(dtype)
        bias = None if self.bias is None else self.bias.to(dtype)
        if kind != "cuda":
            found = F.conv2d(inputs, weight, bias, *self.geometry)
            return (found if other is None else found + other.to(dtype)).relu()
        if other is None:
            return torch.cudnn_convolution_relu(inputs, weight, bias, *self.geometry)
        return torch.cudnn_convolution_add_relu(inputs, weight, other.to(dtype), 1.0, bias, *self.geometry)


class Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, FrozenBatchNorm2d) or super().is_leaf_module(m, module_qualified_name)


def fused(module: nn.Module) -> nn.Module | None:
    """The module with its convolutions fused, whose other layers are the module's own; None where none can be.

    module: in evaluation mode. Its outputs differ by rounding only, if it can be traced at all; the caller compares.
    """
    try:
        graph = fx.GraphModule(module, Tracer().trace(module))
    except Exception as error:  # noqa: BLE001 - whatever the module's own code does with a stand-in for a tensor
        logger.info("the model's convolutions are not fused: %s", str(error).partition("\n")[0])
        return None
    modules = dict(graph.named_modules())
    calls = [node for node in graph.graph.nodes if node.op == "call_module"]
    targets = [node.target for node in calls]
    count = sum(
        fuse(graph, node, modules)
        for node in calls
        if type(modules[node.target]) is nn.Conv2d and targets.count(node.target) == 1
    )
    if not count:
        return None
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph.eval()


def fuse(graph: fx.GraphModule, node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Replace a convolution and what only takes its output; whether there was such a thing."""
    convolution: Any = modules[str(node.target)]
    last, chain, other = node, [node], None
    follower = only_user(last)
    if follower is not None and isinstance(norm := modules.get(str(follower.target)), NORMS):
        convolution = folded(convolution, norm)
        last = follower
        chain.append(last)
        follower = only_user(last)
    new = convolution
    if convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str) and convolution.groups == 1:
        summed = follower if follower is not None and is_sum(follower) else None
        relu = only_user(summed) if summed is not None else follower
        if relu is not None and is_relu(relu, modules):
            new = FusedConvolution(convolution)
            if summed is not None:
                other = next(arg for arg in summed.args if arg is not last)
                chain.append(summed)
            last = relu
            chain.append(last)
    if len(chain) == 1:
        return False
    name = f"{node.target}_fused"
    graph.add_submodule(name, new)
    with graph.graph.inserting_before(last):
        call = graph.graph.call_module(name, (node.args[0],) if other is None else (node.args[0], other))
    last.replace_all_uses_with(call)
    for part in reversed(chain):
        graph.graph.erase_node(part)
    return True


def folded(convolution: nn.Conv2d, norm: Any) -> nn.Conv2d:
    """norm: a batch norm, as it is in evaluation."""
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    new = copy(convolution)
    new._parameters = {"weight": nn.Parameter(weight, False), "bias": nn.Parameter(bias, False)}
    return new


def only_user(node: fx.Node) -> fx.Node | None:
    """The node that takes this one's output, if it is the only one and takes it once."""
    if len(node.users) != 1:
        return None
    [user] = node.users
    return user if list(user.all_input_nodes).count(node) == 1 else None


def is_sum(node: fx.Node) -> bool:
    return node.target in SUMS and len(node.args) == 2 and not node.kwargs and len(node.all_input_nodes) == 2


def is_relu(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return isinstance(modules.get(str(node.target)), nn.ReLU)
    return node.target in RELUS
