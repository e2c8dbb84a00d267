"""The artifacts that travel with the checkout: as good as they say, and made by today's experiments."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.configuration import PROJECT
from deploy.models import DEMO
from train.core.experiment import load

pytestmark = pytest.mark.slow
SHIPPED = PROJECT / "artifacts" / "demo"
FLOORS = {
    "shapes-detection": ("mAP@.50", 0.80),
    "shapes-segmentation": ("mean IoU", 0.75),
    "spoken-digits": ("accuracy in noise", 0.90),
    "language-id": ("macro_f1", 0.85),
    "cartpole": ("mean return", 475.0),
}
# Another processor rounds otherwise, and an answer in a thousand changes.
OVERALL, BY_CLASS = 0.005, 0.03


def description(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SHIPPED / name / "artifact.json").read_text(encoding="utf-8"))
    return found


def test_every_demo_model_that_is_trained_comes_with_the_checkout() -> None:
    """imagenet is not trained: its weights come in a package."""
    assert {path.name for path in SHIPPED.iterdir()} == set(FLOORS) == set(DEMO) - {"imagenet"}


@pytest.mark.parametrize("name", FLOORS)
def test_it_scores_what_its_card_says(name: str) -> None:
    recorded = description(name)["metrics"]
    measured = load(name).evaluate(SHIPPED / name)
    for key, value in measured.items():
        if isinstance(value, dict):
            assert flat(value) == pytest.approx(flat(recorded[key]), abs=BY_CLASS)
        else:
            assert value == pytest.approx(recorded[key], abs=OVERALL), key
    metric, floor = FLOORS[name]
    assert measured[metric] >= floor - OVERALL


@pytest.mark.parametrize("name", FLOORS)
def test_it_was_made_by_todays_experiment(name: str) -> None:
    provenance = description(name)["provenance"]
    assert provenance["sha256"] == load(name).digest, (
        f"the experiment {name} has changed since its artifact was made; `./scripts/test --retrain` tries it, "
        f"`python -m train {name} --output artifacts/demo` makes the artifact that is committed"
    )
    assert provenance["experiment"] == load(name).model_dump(mode="json")


@pytest.mark.retrain
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FLOORS)
def test_the_whole_training_reaches_its_floor(name: str, tmp_path: Path) -> None:
    """Minutes each, so only on demand: ./scripts/test --retrain."""
    from typer.testing import CliRunner

    from train.__main__ import app

    done = CliRunner().invoke(app, [name, "--output", str(tmp_path), "--runs", str(tmp_path / "runs")])
    assert done.exit_code == 0, done.output
    metric, floor = FLOORS[name]
    metrics = json.loads((tmp_path / name / "artifact.json").read_text(encoding="utf-8"))["metrics"]
    assert metrics[metric] >= floor


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """Nested metrics as one level of numbers."""
    found: dict[str, float] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
