"""MixUp and CutMix of a batch, against torchvision's."""

import pytest
import torch
from torch.nn import functional as F
from torchvision.transforms import v2

from train.vision.classification.mixing import Mixing


@pytest.mark.parametrize("settings", [{"mixup": 0.4}, {"cutmix": 1.0}])
def test_mixing_is_torchvisions_and_writes_nothing_into_the_callers_batch(settings: dict[str, float]) -> None:
    images, targets = torch.rand(6, 3, 16, 16), F.one_hot(torch.tensor([0, 1, 2, 0, 1, 2]), 3).float()
    before = images.clone(), targets.clone()
    mixing = Mixing(probability=1.0, **settings)
    reference = v2.MixUp(alpha=0.4) if "mixup" in settings else v2.CutMix(alpha=1.0)
    torch.manual_seed(5)
    torch.rand(()), torch.randint(1, ())
    expected = reference(images, targets)
    torch.manual_seed(5)
    found = mixing(images, targets)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert torch.equal(images, before[0])
    assert torch.equal(targets, before[1])
    assert not torch.equal(found[0], images)
    torch.testing.assert_close(found[1].sum(1), torch.ones(6))


def test_cutmix_weighs_labels_by_the_pixels_that_are_left() -> None:
    """The box is clipped at the border, so lambda follows from what was pasted, not from what was drawn."""
    torch.manual_seed(0)
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 20, 30).contiguous()
    targets = torch.eye(4)
    for _ in range(20):
        mixed, soft = Mixing(cutmix=1.0, probability=1.0)(images, targets)
        own = (mixed[:, 0] == images[:, 0]).float().mean((1, 2))
        torch.testing.assert_close(soft.diagonal(), own)


def test_mixing_happens_as_often_as_asked_and_keeps_several_tasks_together() -> None:
    torch.manual_seed(0)
    images, joined = torch.rand(4, 3, 8, 8), torch.cat([torch.eye(4), torch.eye(4)[:, :2]], 1)
    mixing = Mixing(mixup=1.0, cutmix=1.0, probability=0.3)
    mixed = [mixing(images, joined) for _ in range(300)]
    share = sum(found is not images for found, _ in mixed) / 300
    assert share == pytest.approx(0.3, abs=0.08)
    first = next(soft for found, soft in mixed if found is not images)
    torch.testing.assert_close(first[1, 0], 1 - first[1, 1])
    torch.testing.assert_close(first[1, 4], 1 - first[1, 5])  # the other task is mixed by the same weight
    torch.testing.assert_close(first[1, 1], first[1, 5])
    assert Mixing(mixup=1.0, probability=1.0)(images[:1], joined[:1])[0] is not None
