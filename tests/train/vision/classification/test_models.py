"""Every family of torchvision's classifiers: a new head, frozen parts, published weights, embeddings, ensembles."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models
from torchvision.models import MobileNet_V2_Weights, MobileNetV3, mobilenet_v2
from torchvision.models.feature_extraction import create_feature_extractor

from handlers.networks.classifier import classifier, names
from handlers.networks.ensemble import Ensemble, ensemble
from handlers.networks.layers import WithLayers, embedding_layer, head
from train.core.config import ExperimentError
from train.core.published_weights import state_dict
from train.vision.classification.models import find_weights, freeze, keep_statistics, load_published, parameter_groups

# The smallest of each family, on the smallest image it takes.
FAMILIES = {
    "alexnet": 64,
    "convnext_tiny": 32,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "googlenet": 32,
    "inception_v3": 75,
    "maxvit_t": 224,
    "mnasnet0_5": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
    "regnet_y_400mf": 32,
    "resnet18": 32,
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 32,
    "swin_t": 32,
    "swin_v2_t": 64,
    "vgg11_bn": 32,
    "vit_b_32": 32,
}


HEAVY = {"alexnet", "convnext_tiny", "densenet121", "maxvit_t", "swin_v2_t", "vgg11_bn", "vit_b_32"}


def each(*but: str) -> list[Any]:
    """The families, as a test's parameters."""
    names = [name for name in FAMILIES if name not in but]
    return [pytest.param(name, marks=pytest.mark.slow) if name in HEAVY else name for name in names]


def build(name: str) -> nn.Module:
    arguments = {"image_size": FAMILIES[name]} if name.startswith("vit") else {}
    torch.manual_seed(0)
    return classifier(name, 3, **arguments)


def test_every_classifier_of_torchvision_is_of_a_family_tried_here() -> None:
    stems = {name.rstrip("0123456789")[:5] for name in FAMILIES}
    others = {name for name in names() if name[:5] not in stems and not name.startswith(("resnext", "wide_resnet"))}
    assert others <= {"vgg11", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"} | {
        name for name in names() if name.startswith(("vit", "swin"))
    }
    assert set(names()) == set(models.list_models(module=models))


@pytest.mark.parametrize("name", each())
def test_a_step_with_a_frozen_backbone_changes_the_head_alone(name: str) -> None:
    network = build(name)
    freeze(network, "backbone")
    network.train()
    keep_statistics(network, "backbone")
    trained = {key for key, parameter in network.named_parameters() if parameter.requires_grad}
    assert {key for key in trained if dict(network.named_parameters())[key].shape[0] == 3} == trained
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.AdamW(parameter_groups(network, 1e-2, 0.1, 0.05))
    images = torch.randn(2, 3, FAMILIES[name], FAMILIES[name])
    F.cross_entropy(network(images), torch.tensor([0, 2])).backward()
    optimizer.step()
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == trained  # running statistics and everything else: bit-identical
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            assert not module.training


@torch.inference_mode()
@pytest.mark.parametrize("name", each())
def test_the_embedding_is_what_the_head_takes(name: str) -> None:
    network = build(name).eval()
    images = torch.randn(2, 3, FAMILIES[name], FAMILIES[name])
    layer = embedding_layer(network)
    logits, embedding = WithLayers(network, [(layer, "pooled")])(images)
    torch.testing.assert_close(logits, network(images), rtol=1e-5, atol=1e-5)
    assert embedding.ndim == 2
    if name.startswith("squeezenet"):
        maps = create_feature_extractor(network, [layer])(images)[layer]
        torch.testing.assert_close(embedding, maps.mean((2, 3)))
    last = network.get_submodule(head(network))
    if isinstance(last, nn.Linear):  # SqueezeNet's is a convolution, before the pooling
        torch.testing.assert_close(last(embedding), logits, rtol=1e-5, atol=1e-5)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


@torch.inference_mode()
@pytest.mark.parametrize(
    ("name", "size", "layers"),
    [
        # Where the channels are: their axis in the layer's output.
        ("resnet18", (64, 96), {"layer2": 1, "layer4.1.relu_1": 1, "avgpool": 1, "flatten": 1}),
        ("swin_t", (96, 64), {"features.3": 3, "permute": 1, "flatten": 1}),
        ("swin_t", (64, 64), {"features.1.0.add": 3}),
        ("vit_b_32", (32, 32), {"encoder.layers.encoder_layer_3": 2, "getitem_5": 1}),
    ],
)
def test_layers_by_their_names_are_torchvisions_extractors(
    name: str, size: tuple[int, int], layers: dict[str, int]
) -> None:
    network = build(name).eval()
    images = torch.randn(2, 3, *size)
    expected = create_feature_extractor(network, list(layers))(images)
    logits, *maps = WithLayers(network, [(layer, "map") for layer in layers])(images)
    torch.testing.assert_close(logits, network(images))
    _, *means = WithLayers(network, [(layer, "pooled") for layer in layers])(images)
    for layer, found, mean in zip(layers, maps, means, strict=True):
        torch.testing.assert_close(found, expected[layer])
        axes = set(range(1, found.ndim)) - {layers[layer]}
        torch.testing.assert_close(mean, found.mean(tuple(axes)) if axes else found)


def test_a_layer_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"no layer 'layer9'; its last ones are .*avgpool, flatten, fc"):
        WithLayers(build("resnet18"), [("layer9", "pooled")])


@torch.inference_mode()
def test_layers_of_an_ensemble_of_several_tasks(members: list[nn.Module]) -> None:
    images = [torch.randn(2, 3, 64, 64), torch.randn(2, 3, 48, 48), torch.randn(2, 3, 32, 64)]
    whole = Ensemble(members, tasks=[2, 3], separate=True).eval()
    logits, found = WithLayers(whole, [("members.1.features", "pooled")])(images)
    torch.testing.assert_close(logits, whole(images))
    assert isinstance(members[1], MobileNetV3)
    torch.testing.assert_close(found, members[1].features(images[1]).mean((2, 3)))


def test_published_weights_under_a_new_head() -> None:
    weights = find_weights("mobilenet_v2", "IMAGENET1K_V1")
    assert weights is MobileNet_V2_Weights.IMAGENET1K_V1
    network = classifier("mobilenet_v2", 7)
    drawn = network.state_dict()["classifier.1.weight"].clone()
    load_published(network, weights)
    reference = mobilenet_v2()
    reference.load_state_dict(state_dict(weights))
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        features = network.eval().get_submodule("features")(images)
        torch.testing.assert_close(features, reference.eval().features(images))
    assert torch.equal(network.state_dict()["classifier.1.weight"], drawn)
    assert network(images).shape == (2, 7)
    with pytest.raises(ExperimentError, match="do not fit the model"):
        load_published(classifier("mobilenet_v2", 7, width_mult=0.5), weights)


@pytest.mark.parametrize(
    ("model", "weights", "said"),
    [
        ("mobilenet_v9", None, "torchvision has no classifier 'mobilenet_v9'"),
        ("maskrcnn_resnet50_fpn", None, "torchvision has no classifier"),
        ("resnet18", "V7", "resnet18 has no 'V7'; wanted one of IMAGENET1K_V1"),
    ],
)
def test_names_that_do_not_exist(model: str, weights: str | None, said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        find_weights(model, weights)


def test_the_backbone_learns_at_its_own_rate_and_norms_do_not_decay() -> None:
    network = build("resnet18")
    groups = parameter_groups(network, 1.0, 0.1, 0.05)
    names_of = {id(parameter): name for name, parameter in network.named_parameters()}
    found = {names_of[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert len(found) == len(names_of)
    assert found["fc.weight"] == (1.0, 0.05)
    assert found["fc.bias"] == (1.0, 0.0)
    assert found["conv1.weight"] == (0.1, 0.05)
    assert found["bn1.weight"] == (0.1, 0.0)


@pytest.fixture
def members() -> list[nn.Module]:
    torch.manual_seed(0)
    return [classifier(name, 5).eval() for name in ("shufflenet_v2_x0_5", "mobilenet_v3_small", "squeezenet1_1")]


@torch.inference_mode()
def test_an_ensemble_is_the_weighted_average(members: list[nn.Module]) -> None:
    images = torch.randn(4, 3, 64, 64)
    probabilities = torch.stack([member(images).double().softmax(1) for member in members])
    weights = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    found = Ensemble(members, weights.tolist()).eval()(images).softmax(1)
    expected = (probabilities * (weights / 8)[:, None, None]).sum(0)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    equal = Ensemble(members, average="logits").eval()(images)
    torch.testing.assert_close(equal, torch.stack([member(images) for member in members]).mean(0))


@torch.inference_mode()
def test_an_ensemble_of_several_tasks_averages_each_alone(members: list[nn.Module]) -> None:
    images = torch.randn(4, 3, 64, 64)
    found = Ensemble(members, tasks=[2, 3]).eval()(images)
    for part in (slice(0, 2), slice(2, 5)):
        expected = torch.stack([member(images)[:, part].softmax(1) for member in members]).mean(0)
        torch.testing.assert_close(found[:, part].softmax(1), expected, rtol=1e-5, atol=1e-6)


def test_an_ensembles_weights_are_normalised_and_travel_with_it(members: list[nn.Module], tmp_path: Path) -> None:
    whole = Ensemble(members, [3, 1, 4])
    torch.testing.assert_close(whole.state_dict()["weights"], torch.tensor([0.375, 0.125, 0.5]))
    architectures = [
        {"factory": "handlers.networks.classifier.classifier", "arguments": {"model": name, "classes": 5}}
        for name in ("shufflenet_v2_x0_5", "mobilenet_v3_small", "squeezenet1_1")
    ]
    other = ensemble(architectures)
    other.load_state_dict(whole.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(other.eval()(images), whole.eval()(images))
    for wrong in ([1.0], [1.0, 0.0, 1.0], [1.0, -1.0, 1.0], [1.0, float("nan"), 1.0]):
        with pytest.raises(ValueError, match="weights: wanted"):
            Ensemble(members, wrong)


@torch.inference_mode()
def test_one_very_sure_member_does_not_underflow() -> None:
    class Sure(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[500.0, -500.0]]).repeat(len(images), 1)

    found = Ensemble([Sure(), Sure()])(torch.zeros(1, 3, 4, 4))
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found.softmax(1), torch.tensor([[1.0, 0.0]]))
