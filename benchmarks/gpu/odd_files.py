"""`python -m benchmarks.gpu.odd_files NAME DEVICE`: an unusual JPEG, decoded by the CPU and by nvJPEG.

Each file is decoded in a process of its own, because it may hang the decoder or make the device unusable.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from PIL import Image

from benchmarks.images import images
from handlers.errors import RequestError
from handlers.protocol.payload import Payload
from handlers.vision.decoding import decode_image
from handlers.vision.nvjpeg import NvJpeg

PROJECT = Path(__file__).parents[2]
PATIENCE = 25.0  # seconds
AT_ONCE = 4


def cases() -> dict[str, bytes]:
    """Name → file: sizes, subsamplings, and files broken in the middle."""
    whole = images()[0]
    jpeg = partial(encoded, Image.open(io.BytesIO(whole)).convert("RGB"))
    scan = whole.index(b"\xff\xda") + 14
    noise = bytearray(whole)
    for place in range(scan + 2000, scan + 2400):
        noise[place] = (noise[place] * 7 + 13) % 251  # never FF, which begins a marker
    tables = whole.index(b"\xff\xc4")
    length = int.from_bytes(whole[tables + 2 : tables + 4], "big")
    return {
        **{f"{width} x {height}": jpeg((width, height)) for width, height in ((1, 1), (7, 5), (63, 65), (641, 479))},
        "5000 x 3000": jpeg((5000, 3000), quality=50),
        "4:4:4": jpeg((640, 480), subsampling=0),
        "4:2:2": jpeg((640, 480), subsampling=1),
        "restart markers": jpeg((640, 480), restart_marker_blocks=4),
        "quality 100": jpeg((640, 480), quality=100),
        "optimised tables": jpeg((640, 480), optimize=True),
        "noise in the scan": bytes(noise),
        "half of a scan": whole[: len(whole) // 2] + b"\xff\xd9",
        "empty Huffman tables": whole[: tables + 4] + bytes(length - 2) + whole[tables + 2 + length :],
    }


def encoded(image: Image.Image, size: tuple[int, int], **options: object) -> bytes:
    buffer = io.BytesIO()
    image.resize(size).save(buffer, "JPEG", **{"quality": 90, **options})
    return buffer.getvalue()


def outcomes(names: Sequence[str], device: torch.device, command: Sequence[str] = ()) -> Iterator[tuple[str, str, str]]:
    """(name, what the CPU does, what the GPU does) of each file, a few at a time. command: instead of this module's."""
    start = command or (sys.executable, "-m", "benchmarks.gpu.odd_files")
    for first in range(0, len(names), AT_ONCE):
        running = [
            (name, subprocess.Popen([*start, name, str(device)], cwd=PROJECT, stdout=subprocess.PIPE, text=True))
            for name in names[first : first + AT_ONCE]
        ]
        for name, process in running:
            with process:
                try:
                    said, _ = process.communicate(timeout=PATIENCE)
                    found = json.loads(said.splitlines()[-1])
                    yield name, found["cpu"], found["gpu"]
                except subprocess.TimeoutExpired:
                    process.kill()
                    yield name, "", f"hangs: no answer within {PATIENCE:g} s"
                except (IndexError, ValueError):
                    yield name, "", f"ends the process with status {process.wait()}"


def outcome(data: bytes, device: torch.device) -> dict[str, str]:
    """The result of each decoder for a file."""
    try:
        wanted = decode_image(Payload(data)).int()
        found = {"cpu": "decodes"}
    except RequestError as error:
        wanted = None
        found = {"cpu": f"refuses: {type(error).__name__}"}
    try:
        decoder = NvJpeg(device)
        height, width = wanted.shape[1:] if wanted is not None else Image.open(io.BytesIO(data)).size[::-1]
        image = decoder([data], height, width)[0].cpu().int()
        found["gpu"] = "decodes"
        if wanted is not None:
            found["gpu"] += f", mean difference {(image - wanted).abs().float().mean():.2f}"
    except (RuntimeError, ValueError) as error:  # the latter without a GPU
        found["gpu"] = f"refuses: {str(error).splitlines()[0][:80]}"
    if device.type == "cuda":
        try:
            torch.zeros(4, device=device).sum().item()
        except RuntimeError as error:
            found["gpu"] += f"; the device is lost: {str(error).splitlines()[0][:80]}"
    return found


if __name__ == "__main__":
    print(json.dumps(outcome(cases()[sys.argv[1]], torch.device(sys.argv[2]))))
