"""Old names of settings still work, and say what they are called now."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from train.core.config import StrictModel
from train.core.optimization import Optimization
from train.rl.ppo import PPO
from train.vision.detection.augmentation import DetectionAugmentation
from train.vision.detection.data import CocoSettings


@pytest.mark.parametrize(
    ("model", "old", "new"),
    [
        (Optimization, {"warm_up": 0.2}, {"warmup": 0.2}),
        (PPO, {"environments": 3, "clip": 0.1}, {"num_envs": 3, "clip_coef": 0.1}),
        (DetectionAugmentation, {"largest": 3.0}, {"max_zoom": 3.0}),
        (CocoSettings, {"validation_part": 0.4}, {"validation_share": 0.4}),
    ],
)
def test_an_old_name_is_accepted_with_a_warning(
    model: type[StrictModel], old: dict[str, float], new: dict[str, float]
) -> None:
    every: dict[type[StrictModel], dict[str, object]] = {
        PPO: {"name": "x", "system": "ppo"},
        CocoSettings: {"images": Path("x"), "annotations": Path("y")},
    }
    needed = every.get(model, {})
    with pytest.warns(FutureWarning, match=f"{next(iter(old))} is now {next(iter(new))}"):
        assert model.model_validate({**needed, **old}) == model.model_validate({**needed, **new})


def test_both_names_at_once_are_refused() -> None:
    with pytest.warns(FutureWarning), pytest.raises(ValidationError, match="warmup"):
        Optimization.model_validate({"warm_up": 0.2, "warmup": 0.3})
