"""Tiny Mask and Keypoint R-CNN as TorchScript.

A process of its own scripts them: torch crashes where one scripts such a class a second time after it has served it.
"""

import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torchvision.models.detection import KeypointRCNN, MaskRCNN

from tests import tiny_networks
from tests.tiny_artifacts import scaled_state

OBJECTS, PEOPLE = ["background", "cat", "dog", "bird"], ["background", "person"]
KEYPOINTS = 4


def masks() -> MaskRCNN:
    torch.manual_seed(0)
    network = tiny_networks.mask_rcnn(len(OBJECTS)).eval()
    scaled_state(network)
    return network


def keypoints() -> KeypointRCNN:
    torch.manual_seed(0)
    network = tiny_networks.keypoint_rcnn(len(PEOPLE), KEYPOINTS).eval()
    scaled_state(network)
    return network


@cache
def scripts() -> dict[str, bytes]:
    """The files of both, by "masks" and "keypoints"."""
    with TemporaryDirectory() as folder:
        root = Path(__file__).parents[1]
        subprocess.run([sys.executable, "-W", "ignore", "-m", __name__, folder], cwd=root, check=True)
        return {path.stem: path.read_bytes() for path in Path(folder).glob("*.pt")}


if __name__ == "__main__":
    for name, build in (("masks", masks), ("keypoints", keypoints)):
        torch.jit.script(build()).save(Path(sys.argv[1]) / f"{name}.pt")
