"""Detection and segmentation: a few steps of the real thing, and the parts with a definition."""

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from train.experiment import load
from train.segmentation import dice_loss


def test_dice_of_a_perfect_and_of_a_wrong_answer() -> None:
    masks = torch.tensor([[[0, 0, 1], [1, 2, 2]]])
    right = 50.0 * F.one_hot(masks, 3).permute(0, 3, 1, 2).float()
    assert dice_loss(right, masks).item() == pytest.approx(0.0, abs=1e-4)
    wrong = right.roll(1, dims=1)
    assert dice_loss(wrong, masks).item() > 0.7


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "steps", "metric", "floor"),
    [("shapes-detection", 60, "mAP@.50", 0.2), ("shapes-segmentation", 40, "mean IoU", 0.22)],
)
def test_a_short_training_learns_and_exports(
    experiment: str, steps: int, metric: str, floor: float, tmp_path: Path
) -> None:
    """Half a minute on small pictures. A network that has learnt nothing scores 0, or 1/6 for finding background."""
    short = [f"steps={steps}", "batch_size=8", "image_size=160", "pictures=24"]
    load(experiment, short).run(tmp_path / experiment)
    description = json.loads((tmp_path / experiment / "artifact.json").read_text())
    assert len(description["labels"]) == 6
    assert description["metrics"][metric] >= floor
    assert (tmp_path / experiment / "sample.jpg").stat().st_size > 5_000
    assert (tmp_path / experiment / "extras" / "held-out.png").stat().st_size > 10_000
