"""Where a model that leaves it open is computed, on a machine with a GPU."""

from __future__ import annotations

from typing import Literal

from archiver.artifact import Artifact

Device = Literal["auto", "cpu", "gpu"]

# Their networks are a few small layers, or many steps in time one after the other: starting a GPU's kernels for them
# takes longer than a core takes to compute them, and a context for it some hundred MiB of the card.
TASKS_FOR_CPU = {"policy", "voice-activity"}
SMALL = 8 << 20  # bytes of weights; a policy that looks at images can have more


def choose(asked: Device, task: str, artifact: Artifact) -> Device:
    """`asked`, or "cpu" for a model that a GPU would not make faster; "auto" is a GPU where the server has one."""
    description = artifact.description
    if asked != "auto":
        return asked
    if description.format == "onnx":  # the server's ONNX Runtime is the one for CPUs
        return "cpu"
    weights = [path for name, path in artifact.files.items() if name.split("/")[0] == description.weights]
    small = sum(path.stat().st_size for path in weights) <= SMALL
    return "cpu" if task in TASKS_FOR_CPU and small else "auto"
