"""Names that version 0.1's documentation told users to import still work, and say where they are now."""

import importlib
import sys

import pytest

from train.core.artifact import Artifact
from train.core.stored_weights import round_weights


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
