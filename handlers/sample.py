"""The artifact's sample as a request, with which a worker tries its model while loading."""

from __future__ import annotations

from handlers.artifact import Artifact
from handlers.formats.sample import SAMPLE_TYPES
from handlers.protocol.limits import Limits
from handlers.protocol.payload import InputType, Payload
from handlers.protocol.request import parse


def sample_payload(artifact: Artifact, input_type: InputType, limits: Limits | None = None) -> Payload:
    """The first input of the sample. limits: none by default. Raises RequestError if the sample exceeds them."""
    data = artifact.sample.read_bytes()
    limits = limits or Limits(len(data), max_instances=len(data), max_values=len(data))
    return parse({"body": data}, {"content-type": SAMPLE_TYPES[artifact.sample.suffix]}, input_type, limits).payloads[0]
