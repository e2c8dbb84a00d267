"""Encodes recordings as WAV files."""

from __future__ import annotations

from dataclasses import dataclass
from struct import pack
from typing import TYPE_CHECKING, Any

from client.inputs.arrays import array_of, is_array

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

PCM, FLOAT = 1, 3  # WAVE_FORMAT_PCM and WAVE_FORMAT_IEEE_FLOAT
# Slight overshoot, as from lossy codecs, is clipped. A higher peak indicates integers converted to floats.
MAX_PEAK = 8.0


@dataclass(frozen=True)
class Waveform:
    """A recording to send as WAV without loss, as 32-bit floats or 16-bit integers.

    samples: floats from -1 to 1, or int16; NumPy or torch, (samples,) or (channels, samples), as in torchaudio.
    sample_rate: in Hz.
    """

    samples: NDArray[Any] | Tensor
    sample_rate: int

    def encoded(self) -> tuple[bytes, str]:
        """The encoded file and its media type. Raises ValueError for invalid samples or an invalid rate."""
        rate = self.sample_rate
        if isinstance(rate, bool) or rate != int(rate) or not 0 < rate < 1 << 32:
            raise ValueError(f"sample_rate: got {rate!r}, wanted a whole number of Hz")
        samples = self._checked()
        return wav(samples, int(rate)), "audio/wav"

    def _checked(self) -> NDArray[Any]:
        """(channels, samples), float32 or int16."""
        import numpy as np

        if not is_array(self.samples):
            raise ValueError(f"samples: got {type(self.samples).__name__}, wanted a NumPy array or a torch tensor")
        array = array_of(self.samples)
        if array.ndim not in (1, 2) or array.size == 0:
            raise ValueError(f"samples: got shape {list(array.shape)}, wanted [samples] or [channels, samples]")
        array = np.atleast_2d(array)
        if array.shape[0] > array.shape[1]:
            raise ValueError(
                f"samples: got {array.shape[0]} channels of {array.shape[1]} samples; wanted [channels, samples]; "
                "transpose it"
            )
        if array.dtype.kind == "i" and array.dtype.itemsize == 2:
            return array
        if array.dtype.kind != "f":
            raise ValueError(f"samples: got {array.dtype}, wanted floats from -1 to 1, or int16")
        if not np.isfinite(array).all():
            raise ValueError("samples: got NaN or infinity, wanted finite numbers")
        peak = float(np.abs(array).max())
        if peak > MAX_PEAK:
            raise ValueError(f"samples: got a peak of {peak:.6g}, wanted -1 to 1; divide 16-bit values by 32768")
        return array.astype(np.float32, copy=False)


def wav(samples: NDArray[Any], rate: int) -> bytes:
    """Encode (channels, samples), float32 or int16, as WAV; the standard library's `wave` writes only integers."""
    channels, count = samples.shape
    width, kind = samples.dtype.itemsize, FLOAT if samples.dtype.kind == "f" else PCM
    format = pack("<HHIIHH", kind, channels, rate, rate * channels * width, channels * width, 8 * width)
    data = samples.T.astype(samples.dtype.newbyteorder("<"), copy=False).tobytes()
    chunks = [(b"fmt ", format + b"\0\0"), (b"fact", pack("<I", count))] if kind == FLOAT else [(b"fmt ", format)]
    body = b"WAVE" + b"".join(name + pack("<I", len(each)) + each for name, each in [*chunks, (b"data", data)])
    return b"RIFF" + pack("<I", len(body)) + body
