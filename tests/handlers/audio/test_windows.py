"""Sliding windows: where they stand, how they count, and what a spec may ask for."""

import numpy as np
import pytest
import torch

from handlers.audio.windows import Windowing, flatten

RATE = 10


def windowing(window: float = 1.0, hop: float | None = None, shortest: float | None = None) -> Windowing:
    return Windowing.of_seconds(window, hop, RATE, "energy", shortest)


def test_half_a_window_apart_and_filled_up_with_silence() -> None:
    cut = windowing().cut(torch.arange(1.0, 19.0))
    assert cut.waveforms.shape == (3, 10)
    assert torch.equal(cut.waveforms[1], torch.arange(6.0, 16.0))
    assert torch.equal(cut.waveforms[2], torch.tensor([11.0, 12, 13, 14, 15, 16, 17, 18, 0, 0]))
    assert cut.spans == [(0.0, 1.0), (0.5, 1.5), (1.0, 1.8)]


def test_a_hop_of_ones_own() -> None:
    assert windowing(hop=0.2).cut(torch.ones(20)).spans[1] == (0.2, 1.2)
    assert len(windowing(hop=1.0).cut(torch.ones(20)).weights) == 2


def test_a_short_recording() -> None:
    """In the middle of a window for a model of one length; as long as it is for one that takes any."""
    middle = windowing().cut(torch.ones(4)).waveforms
    assert middle.tolist() == [[0, 0, 0, 1, 1, 1, 1, 0, 0, 0]]
    assert windowing(shortest=0.2).cut(torch.ones(4)).waveforms.shape == (1, 4)
    assert windowing(shortest=0.2).cut(torch.ones(1)).waveforms.tolist() == [[1, 0]]


def test_windows_count_by_their_energy_or_alike() -> None:
    waveform = torch.cat([torch.full((10,), 2.0), torch.ones(10)])
    outputs = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    loud = Windowing.of_seconds(1.0, 1.0, RATE, "energy", None).cut(waveform)
    np.testing.assert_allclose(loud.mean(outputs), [0.8, 0.2], atol=1e-6)
    alike = Windowing.of_seconds(1.0, 1.0, RATE, "equal", None).cut(waveform)
    np.testing.assert_allclose(alike.mean(outputs), [0.5, 0.5], atol=1e-6)
    silent = windowing().cut(torch.zeros(30))
    np.testing.assert_allclose(silent.weights, np.full(5, 0.2), atol=1e-6)


def test_all_windows_in_order() -> None:
    parts = [windowing().cut(torch.full((samples,), float(samples))) for samples in (10, 20)]
    assert [int(window[0]) for window in flatten(parts)] == [10, 20, 20, 20]


@pytest.mark.parametrize("hop", [0.0, 1.1, -0.5])
def test_hops_that_leave_gaps(hop: float) -> None:
    with pytest.raises(ValueError, match="hop_seconds: wanted more than 0 and at most window_seconds, 1; got"):
        windowing(hop=hop)
