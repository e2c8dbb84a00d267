"""Modules whose TorchScript reaches further than a network may, and one that does not."""

import torch
from torch import Tensor, nn


class Saves(nn.Module):
    """TorchScript that writes a file when it is called."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: Tensor) -> Tensor:
        torch.save(x, self.path)
        return x


class Reads(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.ops.aten.from_file("/etc/passwd", False, 4)


class Counts(nn.Module):
    """With a loop, a list and an operator of torchvision."""

    def forward(self, boxes: Tensor) -> Tensor:
        kept = torch.ops.torchvision.nms(boxes, boxes[:, 0], 0.5)
        total = torch.zeros(1)
        for index in range(len(kept)):
            total += kept[index]
        return total


class Named(nn.Module):
    """With a part and words that are called as the names from which operators are reached."""

    def __init__(self) -> None:
        super().__init__()
        self.ops = nn.ModuleList([nn.ReLU()])

    def forward(self, x: Tensor) -> Tensor:
        if x.numel() == 0:
            raise ValueError('it\'s "torch" or ops # of torch.save')
        for part in self.ops:
            x = part(x)
        return x
