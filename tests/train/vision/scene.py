"""An image with objects, their boxes and masks."""

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.ops import masks_to_boxes

SIZE = (120, 160)


def scene(with_masks: bool) -> tuple[tv_tensors.Image, dict[str, Tensor]]:
    """Two bright rectangles on black, each in a channel of its own."""
    image = torch.zeros(3, *SIZE, dtype=torch.uint8)
    masks = torch.zeros(2, *SIZE, dtype=torch.uint8)
    for channel, (x1, y1, x2, y2) in enumerate([(20, 30, 70, 60), (90, 50, 130, 100)]):
        image[channel, y1:y2, x1:x2] = 255
        masks[channel, y1:y2, x1:x2] = 1
    boxes = tv_tensors.BoundingBoxes([[20, 30, 70, 60], [90, 50, 130, 100]], format="XYXY", canvas_size=SIZE)
    target: dict[str, Tensor] = {"boxes": boxes, **of_each(torch.tensor([1, 2]))}
    if with_masks:
        target["masks"] = tv_tensors.Mask(masks)
    return tv_tensors.Image(image), target


def of_each(labels: Tensor) -> dict[str, Tensor]:
    """The parts of a target that have one number per object."""
    return {"labels": labels, "iscrowd": torch.zeros_like(labels), "area": torch.ones_like(labels)}


def drawn_boxes(image: Tensor, labels: Tensor) -> Tensor:
    """The boxes around what is bright in the image itself: the reference."""
    bright = image.as_subclass(Tensor)[labels - 1] > 127
    return masks_to_boxes(bright) + torch.tensor([0, 0, 1, 1])
