"""`python -m benchmarks.audio`: what a second of audio costs one core, by format, feature and step of the front end."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from statistics import median
from typing import Annotated

import soundfile
import torch
import typer
from rich.console import Console
from rich.table import Table

from handlers.audio.decoding import decode_audio
from handlers.audio.features.extraction import FEATURES, Extraction
from handlers.audio.features.mel import LogMel
from handlers.audio.front_end.front_end import prepare
from handlers.formats.preprocessing.form import STEPS
from handlers.protocol.payload import Payload

RATE = 16_000
LENGTH = 10.0
FORMATS = (
    ("WAV", "PCM_16", 16_000),
    ("WAV", "PCM_16", 44_100),
    ("FLAC", "PCM_16", 16_000),
    ("OGG", "VORBIS", 16_000),
    ("MP3", "MPEG_LAYER_III", 16_000),
)


def main(seconds: Annotated[float, typer.Option(help="Of each measurement.", min=0.1)] = 0.5) -> None:
    """Measure decoding, each feature and each step of the front end; `python -m benchmarks.tasks` has the server."""
    torch.set_num_threads(1)
    with torch.inference_mode():
        Console().print(costs(seconds))


def costs(seconds: float) -> Table:
    random = torch.Generator().manual_seed(0)
    waveform = 0.1 * torch.randn(int(LENGTH * RATE), generator=random)
    table = Table("step", "ms for a second of audio", title="one core")
    for form, subtype, rate in FORMATS:
        buffer = io.BytesIO()
        samples = 0.1 * torch.randn(int(LENGTH * rate), generator=random)
        soundfile.write(buffer, samples.numpy(), rate, format=form, subtype=subtype)
        payload = Payload(buffer.getvalue())
        cost = milliseconds(lambda payload=payload: decode_audio(payload, RATE), seconds)  # type: ignore[misc]
        table.add_row(f"decode {form} {rate} Hz", f"{cost:.2f}")
    for name in FEATURES:
        extraction = Extraction([name], RATE)
        cost = milliseconds(lambda extraction=extraction: extraction(waveform[None]), seconds)  # type: ignore[misc]
        table.add_row(f"feature {name}", f"{cost:.2f}")
    log_mel = LogMel(RATE)
    table.add_row("log-mel of the demo", f"{milliseconds(lambda: log_mel(waveform[None]), seconds):.2f}")
    for step in STEPS:
        cost = milliseconds(lambda step=step: prepare(waveform, RATE, [step]), seconds)  # type: ignore[misc]
        table.add_row(f"front end: {step}", f"{cost:.2f}")
    return table


def milliseconds(call: Callable[[], object], seconds: float) -> float:
    """For a second of audio: the median over as many calls as fit, after two that are not counted."""
    call(), call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return 1000 * median(times) / LENGTH


if __name__ == "__main__":
    typer.run(main)
