"""The limits of one process on a GPU: decoding alone, the model alone, and a handler without a server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from benchmarks.handle import load
from benchmarks.images import SIZE, TRANSFORM, images
from benchmarks.models import Classifier
from handlers.acceleration.equivalence import mismatch
from handlers.acceleration.gpu import accelerated, described
from handlers.acceleration.precision import FLOAT32, InPrecision, allow_tf32
from handlers.networks.normalised import Normalised
from handlers.protocol.payload import Payload
from handlers.vision.batching import ImageBatcher, JpegBatcher
from handlers.vision.decoding import MAX_PIXELS, decode_image
from handlers.vision.nvjpeg import NvJpeg

DECODE, FORWARD, HANDLER = "decode", "forward", "handler in process"
WARM_UPS = 3


@dataclass(frozen=True)
class Limit:
    """part: DECODE, FORWARD or HANDLER. throughput: images a second in batches of `size`."""

    part: str
    name: str
    size: int
    throughput: float


def rate(work: Callable[[], object], items: int, seconds: float, device: torch.device) -> float:
    """`items` a call, as many calls as fit into `seconds`; the device is waited for after each, as a worker does."""
    for _ in range(WARM_UPS):
        work()
    wait(device)
    done, started = 0, perf_counter()
    while (now := perf_counter()) - started < seconds:
        work()
        wait(device)
        done += items
    return done / (now - started)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def files(size: int) -> list[bytes]:
    """So many images, the same ones over and over."""
    every = images()
    return [every[index % len(every)] for index in range(size)]


@torch.inference_mode()
def nvjpeg_limits(sizes: Sequence[int], seconds: float, device: torch.device) -> Iterator[Limit]:
    """Decoding by nvJPEG in batches, alone and with the resize; none without a GPU."""
    if device.type == "cuda":
        together = JpegBatcher(TRANSFORM, MAX_PIXELS, device, NvJpeg(device))
        for size in sizes:
            opened = [together.open(Payload(data, "image/jpeg")) for data in files(size)]
            alone = partial(together.decode_files, files(size), SIZE[1], SIZE[0])
            yield Limit(DECODE, "nvJPEG, nothing else", size, rate(alone, size, seconds, device))
            whole = partial(together.batch, opened)
            yield Limit(DECODE, "nvJPEG, resized on the GPU", size, rate(whole, size, seconds, device))


@torch.inference_mode()
def decode_limits(sizes: Sequence[int], seconds: float, device: torch.device) -> Iterator[Limit]:
    """Decoding on the CPU, with the resize and the way to the device."""
    singly = ImageBatcher(TRANSFORM, MAX_PIXELS, device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for count in sorted({1, len(os.sched_getaffinity(0))}):
        with ThreadPoolExecutor(count) as pool:
            size = max(sizes)
            payloads = [Payload(data, "image/jpeg") for data in files(size)]

            def on_cpu(pool: ThreadPoolExecutor = pool, payloads: list[Payload] = payloads) -> Tensor:
                return singly.batch(list(pool.map(singly.open, payloads)))

            yield Limit(DECODE, f"CPU, {count} thread{'s'[: count > 1]}", size, rate(on_cpu, size, seconds, device))
    torch.set_num_threads(threads)


def batch_of(size: int, device: torch.device) -> Tensor:
    images = [TRANSFORM.geometry(decode_image(Payload(data, "image/jpeg"))) for data in files(size)]
    return torch.stack(images).to(device)


@torch.no_grad()
def forward_limits(
    classifier: Classifier, sizes: Sequence[int], seconds: float, device: torch.device
) -> Iterator[Limit]:
    """Eager float32 and the form that a worker runs, on decoded images that are on the device already.

    RuntimeError where the two do not agree on the images.
    """
    exact = InPrecision(Normalised(classifier.network(), TRANSFORM).eval().to(device), FLOAT32)
    allow_tf32(FLOAT32.tf32)
    wanted = exact(batch_of(16, device))
    for size in sizes:
        yield Limit(
            FORWARD, "eager, float32", size, rate(partial(exact, batch_of(size, device)), size, seconds, device)
        )
    module = Normalised(classifier.network(), TRANSFORM).eval().requires_grad_(False).to(device)
    fast = accelerated(module, batch_of(1, device), (0,), max(sizes))
    problem = mismatch(fast(batch_of(16, device)), wanted)
    if problem:
        raise RuntimeError(f"the fast form of {classifier.name} answers otherwise: {problem}")
    form = described(fast)
    name = f"{form['precision']}, {'no graphs' if form['graphs'] == 'none' else 'CUDA graphs'}"
    for size in sizes:
        yield Limit(FORWARD, name, size, rate(partial(fast, batch_of(size, device)), size, seconds, device))


def handler_limits(
    archive: Path, folder: Path, name: str, sizes: Sequence[int], seconds: float, device: torch.device
) -> Iterator[Limit]:
    """Decode, predict and encode of an archive's own handler, without a server."""
    gpu = device.index if device.type == "cuda" else None
    handler = load(archive, folder, max(sizes), gpu)
    for size in sizes:
        payloads = [Payload(data, "image/jpeg") for data in files(size)]
        yield Limit(HANDLER, name, size, rate(partial(answer, handler, payloads), size, seconds, device))


@torch.inference_mode()
def answer(handler: Any, payloads: Sequence[Payload]) -> None:
    items = list((handler.pool.map if handler.pool else map)(handler.decode, payloads))
    for item, output in zip(items, handler.predict(items), strict=True):
        handler.encode(item, output, "")
