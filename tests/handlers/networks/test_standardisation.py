"""Statistics taken in part by part equal numpy's over the whole."""

import numpy as np
import torch

from handlers.networks.standardisation import Standardisation


def test_merged_statistics_equal_those_of_all_observations() -> None:
    random = np.random.default_rng(0)
    parts = [random.normal([5.0, -1e4, 0.0], [0.1, 3e3, 1.0], (n, 3)) for n in (1, 7, 400, 32)]
    module = Standardisation(3)
    for part in parts:
        module.update(torch.from_numpy(part))
    whole = np.concatenate(parts)
    np.testing.assert_allclose(module.mean.numpy(), whole.mean(0), rtol=1e-9)
    np.testing.assert_allclose(module.variance.numpy(), whole.var(0), rtol=1e-9)
    found = module(torch.from_numpy(whole).float()).numpy()
    np.testing.assert_allclose(found, (whole - whole.mean(0)) / whole.std(0), atol=2e-3)
    assert module(torch.tensor([[1e9, -1e9, 0.0]]))[0, :2].tolist() == [10.0, -10.0]
