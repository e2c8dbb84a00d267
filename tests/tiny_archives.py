"""The archives of the tiny artifacts, built by the archiver as a user's are."""

import json
from pathlib import Path

import numpy as np
import torch
import yaml

from archiver import archive
from archiver.package import resolve
from tests.tiny_artifacts import TINY, UNSERVED

PROJECT = Path(__file__).parent.parent
SPEC: dict[str, dict[str, object]] = {
    "tiny-detection": {"options": {"score_threshold": 0.0, "max_detections": 5}},
    "tiny-instance": {
        "options": {"score_threshold": 0.0, "max_detections": 5},
        "code": [str(PROJECT / "tests" / "tiny_networks.py")],
    },
    "tiny-keypoints": {
        "options": {"score_threshold": 0.0, "max_detections": 5},
        "code": [str(PROJECT / "tests" / "tiny_networks.py")],
    },
    "tiny-yolo": {"options": {"score_threshold": 0.0, "max_detections": 300}},
    "tiny-labels": {"options": {"threshold": 0.6}},
    "tiny-audio": {"limits": {"max_seconds": 5.0, "max_feature_values": 7000}},
    "tiny-commands": {"limits": {"max_seconds": 5.0}},
    "tiny-sound": {"limits": {"max_seconds": 5.0}},
    "tiny-voice": {"limits": {"max_seconds": 20.0}},
    "tiny-letters": {"limits": {"max_seconds": 20.0}},
    "tiny-whisper": {"limits": {"max_seconds": 20.0}},
    "tiny-text": {"limits": {"max_characters": 500}},
    "tiny-policy": {"drift": "observations.jsonl"},
}


def observations() -> list[dict[str, object]]:
    """The policy's validation data."""
    return [{"data": row.tolist()} for row in np.random.default_rng(0).uniform(-0.4, 0.4, (100, 4))]


def build(name: str, root: Path) -> Path:
    """root/store/NAME.mar, made from a new artifact below `root`."""
    torch.manual_seed(0)
    (root / name).mkdir(parents=True)
    (TINY | UNSERVED)[name](root / name / "artifact")
    if name == "tiny-policy":
        (root / "observations.jsonl").write_text("\n".join(map(json.dumps, observations())))
    spec = root / f"{name}.yaml"
    layout = {"batch": {"size": 4, "delay_ms": 50}, "workers": 1, "threads": 1}
    spec.write_text(yaml.safe_dump({"name": name, "artifact": f"{name}/artifact", **layout, **SPEC.get(name, {})}))
    archive.build(resolve(spec, root), PROJECT / "handlers", root / "store")
    return root / "store" / f"{name}.mar"
