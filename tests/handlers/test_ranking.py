"""Probabilities of logits."""

import numpy as np
import pytest
from scipy import special

from handlers.ranking import softmax


@pytest.mark.parametrize("logits", [[[0.5, -2.0, 3.0]], [[-5000.0, -5001.0]], [[5000.0, 4999.0], [1.0, 1.0]], [[7.0]]])
def test_softmax_equals_scipy_s(logits: list[list[float]]) -> None:
    """Far from zero as well, where the exponentials alone would all be 0 or infinite."""
    double = np.array(logits, np.float64)
    single = double.astype(np.float32)
    np.testing.assert_allclose(softmax(double), special.softmax(double, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(softmax(single), special.softmax(single, axis=-1), rtol=1e-6)
    assert softmax(single).dtype == np.float32


def test_softmax_of_nothing_and_of_what_is_not_finite() -> None:
    assert softmax(np.zeros((2, 0))).shape == (2, 0)
    assert np.isnan(softmax(np.array([[np.inf, 1.0], [np.nan, 1.0]]))).any(axis=1).all()
