"""Limits on a recording, checked on its header before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from handlers.errors import InvalidInput, TooLarge
from handlers.formats.preprocessing.form import MAX_RATE, MIN_RATE

# What libsndfile gives as the length of a stream whose header has none.
UNKNOWN = 1 << 62


@dataclass(frozen=True)
class Limits:
    """samples: in all channels together."""

    seconds: float
    samples: int

    def frames(self, rate: int, channels: int) -> int:
        """The most samples of a channel."""
        return min(int(self.seconds * rate), self.samples // channels)

    def check(self, frames: int, rate: int, channels: int) -> None:
        """Raises TooLarge. frames: samples of a channel."""
        if frames > self.seconds * rate:
            raise TooLarge(f"the recording is longer than the limit of {self.seconds:g} seconds")
        if frames * channels > self.samples:
            raise TooLarge(
                f"the recording has more samples than the limit of {self.samples}: {channels} channels at {rate} Hz, "
                f"{self.samples / channels / rate:.1f} seconds of which would be within it"
            )


def check_rate(rate: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise InvalidInput(f"the sample rate is {rate} Hz; wanted {MIN_RATE} to {MAX_RATE}")
