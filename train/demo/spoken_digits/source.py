"""`data: {source: spoken-digits}`: zero to nine, spoken by synthetic voices."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import soundfile
from pydantic import Field

from train.core.file_list import write_table
from train.core.generated_data import GeneratedData
from train.core.loading import MAX_LOADERS
from train.demo.spoken_digits.words import record, speakers

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
RATE = 16_000
# Every eighth training voice is held out to select the best checkpoint; the test uses still other voices.
VALIDATION_EVERY = 8
TABLE = "recordings.csv"
HEADER = ("file", "word", "voice", "split")


class SpokenDigits(GeneratedData):
    """takes: recordings of each word per training voice, with varying accent, tempo and pitch."""

    source: Literal["spoken-digits"] = "spoken-digits"
    takes: int = Field(default=4, ge=1)
    held_out_takes: int = Field(default=3, ge=1, description="recordings of each word per test voice")
    seed: int = 0
    workers: int | None = Field(
        default=None, ge=0, le=MAX_LOADERS, description="loader processes; depends on the cores by default"
    )

    def files(self, training: bool = True) -> dict[str, Any]:
        return {
            "folder": self.folder("all" if training else "test"),
            "labels": Path(TABLE),
            "group": "voice",
            "check": False,  # the files were just written
            "workers": self.workers,
        }

    def write(self, folder: Path, part: str) -> None:
        rows = []
        for held_out in (False, True) if part == "all" else (True,):
            takes = self.held_out_takes if held_out else self.takes
            validation = set(speakers(False)[::VALIDATION_EVERY])
            for number, spoken in enumerate(record(DIGITS, takes, held_out, RATE, self.seed + held_out)):
                split = "test" if held_out else "validation" if spoken.voice in validation else "train"
                file = f"{split}-{number:05d}.wav"
                soundfile.write(folder / file, spoken.waveform.numpy(), RATE, subtype="PCM_16")
                rows.append((file, DIGITS[spoken.label], spoken.voice, split))
        write_table(folder / TABLE, HEADER, rows)
