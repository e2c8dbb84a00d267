"""Detectors and segmenters save memory on large images, and their answers stay those of the plain way."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.utils import draw_segmentation_masks

from handlers.errors import InvalidInput, TooLarge
from handlers.vision import semantic_segmentation
from handlers.vision.detectors.normalisation import normalise
from handlers.vision.object_detection import ObjectDetection, parts
from handlers.vision.output.drawing import colour, draw_masks


def detector(transform: GeneralizedRCNNTransform) -> ObjectDetection:
    handler = ObjectDetection()
    handler.resizing, handler.max_pixels = transform, 25_000_000
    return handler


def transform(**options: object) -> GeneralizedRCNNTransform:
    return GeneralizedRCNNTransform(800, 1333, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], **options)


def test_normalising_in_place_is_torchvisions() -> None:
    image = torch.rand(3, 20, 30)
    ours = transform()
    expected = ours.normalize(image)
    assert torch.equal(normalise(image.clone(), ours.image_mean, ours.image_std), expected)


@pytest.mark.parametrize(
    ("size", "refused"), [((1, 1333), False), ((1, 1334), True), ((5000, 3), True), ((480, 640), False)]
)
def test_a_side_that_would_vanish_is_refused(size: tuple[int, int], refused: bool) -> None:
    handler = detector(transform())
    if refused:
        with pytest.raises(InvalidInput, match="no pixel of its shorter side"):
            handler.check(*size)
    else:
        handler.check(*size)
        image, _ = transform().eval().resize(torch.rand(3, *size))
        assert min(image.shape) > 0


def test_a_tower_of_rows_is_refused_before_it_is_resized() -> None:
    handler = detector(transform(fixed_size=(320, 320)))
    handler.check(1, 20_000_000)
    with pytest.raises(TooLarge, match="would have 320 x 20000000"):
        handler.check(20_000_000, 1)


def test_large_images_go_to_the_model_one_by_one() -> None:
    assert list(parts([3, 1, 4, 0], [5_000_000, 7_000_000, 1, 30_000_000])) == [[3, 1], [4], [0]]


@pytest.mark.parametrize("size", [(333, 777), (20, 500), (33, 49)])
def test_label_maps_in_bands_are_those_of_the_whole(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(7, 32, 48, generator=torch.Generator().manual_seed(0))
    whole = F.interpolate(logits[None], list(size), mode="bilinear", align_corners=False)[0].argmax(0).numpy()
    [found] = semantic_segmentation.label_maps(logits[None], [0], size, together=1)
    assert np.array_equal(found.numpy(), whole)
    monkeypatch.setattr(semantic_segmentation, "BAND", 1000)
    [found] = semantic_segmentation.label_maps(logits[None], [0], size, together=1)
    assert (found.numpy() != whole).mean() < 1e-4  # ties of logits that differ by 1e-6


def test_masks_one_by_one_are_drawn_as_torchvision_draws_all() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 50, 60), dtype=torch.uint8, generator=generator)
    masks, indices = torch.rand(4, 50, 60, generator=generator) > 0.6, [1, 2, 3, 4]
    expected = draw_segmentation_masks(image, masks, alpha=0.5, colors=[colour(index) for index in indices])
    assert torch.equal(draw_masks(image, masks, indices), expected)
