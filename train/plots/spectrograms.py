"""Draws spectrograms of recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from handlers.audio.features.mel import LogMel


def write_spectrograms(
    path: Path, waveforms: Sequence[Tensor], captions: Sequence[str], sample_rate: int, columns: int
) -> None:
    """Write log-mel spectrograms of recordings (samples,) in rows of `columns`, low frequencies at the bottom."""
    log_mel = LogMel(sample_rate, 40)
    rows = -(-len(waveforms) // columns)
    figure = Figure((2.2 * columns, 1.9 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, waveform, caption in zip(grid.flat, waveforms, captions, strict=False):
        with torch.inference_mode():
            axes.imshow(log_mel(waveform[None])[0], origin="lower", aspect="auto", cmap="magma")
        axes.set_title(caption, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
