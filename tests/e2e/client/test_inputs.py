"""Objects of numpy, Pillow and torch are answered as files of the same content are, by all clients."""

import asyncio
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from client import Answer, AsyncGrpcClient, AsyncRestClient, JpegImage, Waveform
from deploy.torchserve import TorchServe
from tests.e2e.conftest import Predict
from tests.inputs import IMAGES, OBSERVATIONS, RATE, encoded, noise, recording

PIXELS = np.asarray(IMAGES[0])
SAMPLES = noise(0.5, 3)


def transparent() -> Image.Image:
    image = IMAGES[1].convert("RGBA")
    image.putalpha(Image.radial_gradient("L").resize(image.size))
    return image


def jpeg(quality: int) -> bytes:
    buffer = io.BytesIO()
    IMAGES[0].save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


# Model, object, the file or JSON of the same content.
PAIRS: dict[str, tuple[str, Any, Any]] = {
    "array": ("tiny-image", PIXELS, encoded(IMAGES[0])),
    "tensor": ("tiny-image", torch.from_numpy(PIXELS.copy()).permute(2, 0, 1), encoded(IMAGES[0], "BMP")),
    "Pillow": ("tiny-image", IMAGES[0], encoded(IMAGES[0], "TIFF")),
    "palette": ("tiny-image", IMAGES[0].quantize(32), encoded(IMAGES[0].quantize(32))),
    "transparent": ("tiny-image", transparent(), encoded(transparent())),
    "grey": ("tiny-image", IMAGES[0].convert("L"), encoded(IMAGES[0].convert("L"))),
    "CMYK": ("tiny-image", IMAGES[0].convert("CMYK"), encoded(IMAGES[0].convert("CMYK"), "TIFF")),
    "JPEG": ("tiny-image", JpegImage(PIXELS, 80), jpeg(80)),
    "waveform": ("tiny-audio", Waveform(SAMPLES, RATE), recording(SAMPLES)),
    "waveform of torch": ("tiny-audio", Waveform(torch.from_numpy(SAMPLES)[None], RATE), recording(SAMPLES)),
    "observation": ("tiny-policy", OBSERVATIONS[0], OBSERVATIONS[0].tolist()),
    "observations of torch": ("tiny-policy", torch.from_numpy(OBSERVATIONS), OBSERVATIONS.tolist()),
    "observation in an object": ("tiny-policy", {"data": OBSERVATIONS[1]}, {"data": OBSERVATIONS[1].tolist()}),
}


def same(found: Answer, expected: Answer) -> None:
    """To the last digits: other requests of a batch may change a sum's order."""
    assert found.content_type == expected.content_type
    np.testing.assert_allclose(leaves(found.json()), leaves(expected.json()), atol=1e-5)


def leaves(value: Any) -> list[float]:
    if isinstance(value, (dict, list)):
        inner = [value[key] for key in sorted(value)] if isinstance(value, dict) else value
        return [leaf for each in inner for leaf in leaves(each)]
    return [float(value)] if isinstance(value, (int, float)) else [float(sum(map(ord, str(value))))]


@pytest.mark.parametrize("name", PAIRS)
def test_an_object_is_answered_as_its_file_is(client: Predict, name: str) -> None:
    model, value, file = PAIRS[name]
    same(client.predict(model, value), client.predict(model, file))


@pytest.mark.parametrize("make", [AsyncRestClient, AsyncGrpcClient])
def test_clients_of_an_event_loop_answer_alike(
    torchserve: TorchServe, client: Predict, make: type[AsyncRestClient | AsyncGrpcClient]
) -> None:
    async def work() -> list[Answer]:
        async with make(torchserve.server) as own:
            return await asyncio.gather(*(own.predict(model, value) for model, value, _ in PAIRS.values()))

    for (model, value, _), answer in zip(PAIRS.values(), asyncio.run(work()), strict=True):
        same(answer, client.predict(model, value))


@pytest.mark.parametrize("make", [AsyncRestClient, AsyncGrpcClient])
def test_explanations_and_pieces_in_an_event_loop(
    torchserve: TorchServe, client: Predict, make: type[AsyncRestClient | AsyncGrpcClient]
) -> None:
    parameters = {"max_new_tokens": 12, "seed": 3, "temperature": 1.0}
    quick = {"method": "saliency"}  # the steps of integrated gradients depend on the time that there is

    async def work() -> tuple[Answer, list[Answer]]:
        async with make(torchserve.server) as own:
            explanation = await own.explain("tiny-image", IMAGES[0], parameters=quick)
            return explanation, [piece async for piece in own.stream("tiny-writer", "once", parameters=parameters)]

    explanation, pieces = asyncio.run(work())
    assert explanation.json() == client.explain("tiny-image", IMAGES[0], parameters=quick).json()
    assert [piece.json() for piece in pieces] == [
        piece.json() for piece in client.stream("tiny-writer", "once", parameters=parameters)
    ]
