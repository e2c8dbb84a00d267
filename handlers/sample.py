"""The artifact's sample as a request that brings it, for a worker that tries its model while it loads."""

from __future__ import annotations

from handlers.artifact import SAMPLE_TYPES, Artifact
from handlers.protocol.limits import Limits
from handlers.protocol.payload import InputType, Payload
from handlers.protocol.request import parse


def sample_payload(artifact: Artifact, input_type: InputType) -> Payload:
    """The first of its inputs."""
    data = artifact.sample.read_bytes()
    limits = Limits(len(data), max_instances=len(data), max_values=len(data))
    return parse({"body": data}, {"content-type": SAMPLE_TYPES[artifact.sample.suffix]}, input_type, limits).payloads[0]
