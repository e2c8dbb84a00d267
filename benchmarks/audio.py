"""`python -m benchmarks.audio ARCHIVE`: what audio costs, from the file to the answer, measured in one run.

Milliseconds of one core for each second of audio: decoding by format, each feature, each step of the front end; then
requests a second over gRPC and REST against the bare model called in a loop, all on the archive's own sample.
"""

from __future__ import annotations

import io
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Annotated

import soundfile
import torch
import typer
import yaml
from rich.console import Console
from rich.table import Table

from client import GrpcClient, RestClient
from deploy.ports import Ports
from deploy.readiness import wait_ready
from deploy.torchserve import TorchServe
from handlers.artifact import Artifact
from handlers.audio import decode_audio
from handlers.features.extraction import FEATURES, Extraction
from handlers.features.mel import LogMel
from handlers.loader import load_model
from handlers.payload import Payload
from handlers.speech.front_end import STEPS, prepare
from handlers.windows import Windowing

RATE = 16_000
LENGTH = 10.0
FORMATS = (
    ("WAV", "PCM_16", 16_000),
    ("WAV", "PCM_16", 44_100),
    ("FLAC", "PCM_16", 16_000),
    ("OGG", "VORBIS", 16_000),
    ("MP3", "MPEG_LAYER_III", 16_000),
)


def main(
    archive: Annotated[
        Path, typer.Argument(help="Of an audio classification model, as model_store/spoken-digits.mar.")
    ],
    seconds: Annotated[float, typer.Option(help="Of each measurement.", min=0.5)] = 5.0,
    clients: Annotated[int, typer.Option(help="Requests under way at once.", min=1)] = 16,
    offset: Annotated[int, typer.Option(help="Added to the usual ports, where those are in use.")] = 0,
) -> None:
    """Decoding, features, front end; then the served model against the bare one."""
    torch.set_num_threads(1)
    console = Console()
    with torch.inference_mode():
        console.print(costs(seconds))
    with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
        with zipfile.ZipFile(archive) as file:
            file.extractall(temporary)
        with torch.inference_mode():
            bare = bare_rates(Path(temporary), seconds)
        served = served_rates(archive, Path(temporary, "run"), seconds, clients, Ports.shifted(offset))
    table = Table("served against bare", "requests/s", "of the bare model", title=f"{archive.name}, its own sample")
    best = max(bare.values())
    for name, rate in {**bare, **served}.items():
        table.add_row(name, f"{rate:.0f}", f"{rate / best:.0%}")
    console.print(table)


def costs(seconds: float) -> Table:
    random = torch.Generator().manual_seed(0)
    waveform = 0.1 * torch.randn(int(LENGTH * RATE), generator=random)
    table = Table("step", "ms for a second of audio", title="one core")
    for form, subtype, rate in FORMATS:
        buffer = io.BytesIO()
        samples = 0.1 * torch.randn(int(LENGTH * rate), generator=random)
        soundfile.write(buffer, samples.numpy(), rate, format=form, subtype=subtype)
        payload = Payload(buffer.getvalue())
        cost = milliseconds(lambda payload=payload: decode_audio(payload, RATE), seconds / 10)  # type: ignore[misc]
        table.add_row(f"decode {form} {rate} Hz", f"{cost:.2f}")
    for name in FEATURES:
        extraction = Extraction([name], RATE)
        cost = milliseconds(lambda extraction=extraction: extraction(waveform[None]), seconds / 10)  # type: ignore[misc]
        table.add_row(f"feature {name}", f"{cost:.2f}")
    log_mel = LogMel(RATE)
    table.add_row("log-mel of the demo", f"{milliseconds(lambda: log_mel(waveform[None]), seconds / 10):.2f}")
    for step in STEPS:
        cost = milliseconds(lambda step=step: prepare(waveform, RATE, [step]), seconds / 10)  # type: ignore[misc]
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


def bare_rates(archive: Path, seconds: float) -> dict[str, float]:
    """Samples a second of the model alone, with no decoding, at batch size 1 and at the archive's."""
    configuration = yaml.safe_load((archive / "model-config.yaml").read_text(encoding="utf-8"))
    torch.set_num_threads(int(configuration["handler"]["threads"]) or torch.get_num_threads())
    artifact = Artifact.read(archive / "artifact")
    rate = int(artifact.preprocessing["sample_rate"])
    windowing = Windowing.of_seconds(artifact.preprocessing["seconds"], None, rate, "energy", None)
    windows = windowing.cut(decode_audio(Payload(artifact.sample.read_bytes()), rate)).waveforms
    model = load_model(artifact, torch.device("cpu"))
    rates = {}
    for size in sorted({1, int(configuration["batchSize"])}):
        batch = windows.repeat(size, 1)
        model(batch)
        done, started = 0, time.perf_counter()
        while time.perf_counter() < started + seconds:
            model(batch)
            done += size
        rates[f"bare model, batches of {size}"] = done / (time.perf_counter() - started)
    return rates


def served_rates(archive: Path, run: Path, seconds: float, clients: int, ports: Ports) -> dict[str, float]:
    with zipfile.ZipFile(archive) as file:
        names = [name for name in file.namelist() if name.startswith("artifact/sample.")]
        sample = file.read(names[0])
        model = yaml.safe_load(file.read("MAR-INF/MANIFEST.json"))["model"]["modelName"]
    rates = {}
    with TorchServe(archive.parent, [archive.name], run, ports) as server:
        wait_ready(server.run, [archive])
        for name, kind in (("gRPC", GrpcClient), ("REST", RestClient)):
            with kind(server.server) as client, ThreadPoolExecutor(clients) as pool:

                def ask(until: float, client: GrpcClient | RestClient = client) -> int:
                    answered = 0
                    while time.perf_counter() < until:
                        client.predict(model, sample, content_type="audio/wav")
                        answered += 1
                    return answered

                list(pool.map(ask, [time.perf_counter() + 1] * clients))
                started = time.perf_counter()
                answered = sum(pool.map(ask, [started + seconds] * clients))
                rates[f"served over {name}"] = answered / (time.perf_counter() - started)
    return rates


if __name__ == "__main__":
    typer.run(main)
