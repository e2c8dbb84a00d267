"""The models of the stack: a tiny one of each kind of input; tests/e2e has every task."""

from client.payload import Payload
from tests.inputs import IMAGES, encoded, noise, recording

IMAGE = encoded(IMAGES[0])
INPUTS: dict[str, Payload] = {
    **dict.fromkeys(("tiny-image", "tiny-instance"), IMAGE),
    "tiny-audio": recording(noise(0.5, 0)),
    "tiny-text": "Where is the station?",
    "tiny-policy": {"data": [0.1, 0.2, 0.3, 0.4]},
}
