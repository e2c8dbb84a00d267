"""Names of version 0.1, of modules and of an experiment's keys, still work, and say what they are called now."""

import importlib
import sys

import pytest
from pydantic import ValidationError

from train.core.artifact import Artifact
from train.core.stored_weights import round_weights
from train.vision.classification.experiment import ImageClassification


@pytest.mark.parametrize(
    ("old", "name", "now"),
    [
        ("train.artifact", "Artifact", Artifact),
        ("train.stored_weights", "round_weights", round_weights),
    ],
)
def test_an_old_name(old: str, name: str, now: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, old, raising=False)
    with pytest.warns(FutureWarning, match=f"{old} is now {old.replace('train.', 'train.core.')}"):
        assert getattr(importlib.import_module(old), name) is now


def test_an_old_key_of_an_experiment() -> None:
    values = {"name": "x", "system": "image-classification", "data": {"folder": "x", "batch_size": 16, "test": 0.2}}
    with pytest.warns(FutureWarning) as warned:
        experiment = ImageClassification.model_validate(values)
    assert {str(each.message) for each in warned} == {
        "data.batch_size is now batch_size",
        "test is now test_share",
    }
    assert (experiment.batch_size, experiment.data.test_share) == (16, 0.2)
    with (
        pytest.warns(FutureWarning),
        pytest.raises(ValidationError, match=r"old name of batch_size; remove data\.batch_size"),
    ):
        ImageClassification.model_validate({**values, "batch_size": 8})
