"""Archives of every task, built by the archiver once a session, on demand."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from archiver import archive
from archiver.package import resolve
from tests.tiny_artifacts import TINY

PROJECT = Path(__file__).parent.parent
SPEC: dict[str, dict[str, object]] = {
    "tiny-detection": {"options": {"score_threshold": 0.0, "max_detections": 5}},
    "tiny-instance": {
        "options": {"score_threshold": 0.0, "max_detections": 5},
        "code": [str(PROJECT / "tests" / "tiny_networks.py")],
    },
    "tiny-audio": {"limits": {"max_seconds": 5.0, "max_feature_values": 7000}},
    "tiny-commands": {"limits": {"max_seconds": 5.0}},
    "tiny-sound": {"limits": {"max_seconds": 5.0}},
    "tiny-voice": {"limits": {"max_seconds": 20.0}},
    "tiny-text": {"limits": {"max_characters": 500}},
}


@pytest.fixture(scope="session")
def tiny_archive(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Name of a tiny model → its .mar, in one store for the session."""
    root = tmp_path_factory.mktemp("tiny")
    archives: dict[str, Path] = {}

    def build(name: str) -> Path:
        if name not in archives:
            torch.manual_seed(0)
            (root / name).mkdir()
            TINY[name](root / name / "artifact")
            spec = root / f"{name}.yaml"
            layout = {"batch": {"size": 4, "delay_ms": 50}, "workers": 1, "threads": 1}
            spec.write_text(
                yaml.safe_dump({"name": name, "artifact": f"{name}/artifact", **layout, **SPEC.get(name, {})})
            )
            archives[name] = archive.build(resolve(spec, root), PROJECT / "handlers", root / "store").path
        return archives[name]

    return build
