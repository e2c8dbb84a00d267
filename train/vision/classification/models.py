"""Fine-tuning of classifiers: published weights, a new head, frozen parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models import WeightsEnum, get_model_weights
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from handlers.networks.classifier import classifier, names
from handlers.networks.layers import head, is_of_timm
from train.core.config import ExperimentError
from train.core.published_weights import state_dict

Frozen = Literal["nothing", "statistics", "backbone"]


# Arguments of the builders that the experiment has other keys for, or that load another file's weights.
RESERVED = {"cache_dir", "checkpoint_path", "model_name", "num_classes", "weights"}


def without_reserved(arguments: dict[str, Any]) -> dict[str, Any]:
    """A validator of a builder's arguments."""
    if found := [name for name in arguments if name in RESERVED or name.startswith("pretrained")]:
        raise ValueError(f"{found[0]} cannot be set here")
    return arguments


Arguments = Annotated[dict[str, Any], AfterValidator(without_reserved)]


def network_of(model: str, classes: int, arguments: dict[str, Any]) -> nn.Module:
    """See `classifier`. Raises ExperimentError for arguments that the model's builder does not have."""
    try:
        return classifier(model, classes, **arguments)
    except (TypeError, ValueError) as error:
        raise ExperimentError(f"arguments: {model}: {error}") from None


def find_weights(model: str, weights: str | None) -> WeightsEnum | None:
    """The published weights of `model` named `weights`. Raises ExperimentError if torchvision has none."""
    if model not in names():
        raise ExperimentError(f"model: torchvision has no classifier {model!r}; wanted one of {', '.join(names())}")
    if weights is None:
        return None
    known = get_model_weights(model)
    if weights not in known.__members__:
        raise ExperimentError(f"weights: {model} has no {weights!r}; wanted one of {', '.join(known.__members__)}")
    return known[weights]


def load_published(network: nn.Module, weights: WeightsEnum) -> None:
    """Load published weights into all of `network` except its head, which keeps its random weights.

    A vision transformer's position embeddings are interpolated to its own image size (Dosovitskiy et al. 2021).
    """
    published = state_dict(weights)
    if isinstance(network, VisionTransformer):
        published = dict(interpolate_embeddings(network.image_size, network.patch_size, published))
    load_under_head(network, published, str(weights))


def load_under_head(network: nn.Module, published: Mapping[str, Tensor], source: str) -> None:
    """Load a state dict into all of `network` except its head. Raises ExperimentError on a mismatch."""
    own = network.state_dict()
    new = heads(network)
    loaded = {name: value for name, value in published.items() if name in own and not name.startswith(new)}
    missing = [name for name in own if name not in loaded and not name.startswith(new)]
    different = [name for name, value in loaded.items() if value.shape != own[name].shape]
    if missing or different:
        raise ExperimentError(f"weights: {source} do not fit the model: {', '.join([*missing, *different][:5])}")
    own.update(loaded)
    network.load_state_dict(own)


def heads(network: nn.Module) -> tuple[str, ...]:
    """Name prefixes of the head's weights; some of timm's models have two heads."""
    if not is_of_timm(network):
        return (f"{head(network)}.",)
    found = cast("Any", network).get_classifier()
    modules = list(found) if isinstance(found, (tuple, nn.ModuleList)) else [found]
    return tuple(f"{name}." for name, module in network.named_modules() if any(module is each for each in modules))


def freeze(network: nn.Module, frozen: Frozen) -> None:
    """Disable gradients of what is not trained. frozen: "backbone" trains only the head."""
    if frozen == "backbone":
        new = heads(network)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name.startswith(new))


def keep_statistics(network: nn.Module, frozen: Frozen) -> None:
    """Put frozen batch norms into eval mode, because running statistics are weights as well.

    Call this whenever the network has been put into training mode.
    """
    if frozen != "nothing":
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


def parameter_groups(network: nn.Module, rate: float, backbone_rate: float, decay: float) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer: the head with `rate`, the backbone with `backbone_rate` times `rate`.

    Biases and norms do not decay, because they are not directions that decay could choose among.
    """
    new = heads(network)
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.startswith(new), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": rate if of_head else rate * backbone_rate,
            "weight_decay": decay if decays else 0.0,
        }
        for (of_head, decays), parameters in groups.items()
    ]
