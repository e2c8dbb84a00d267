"""Tokens drawn for a whole batch: from the exact distribution, each text by itself, greedy ones as argmax has it."""

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from handlers.text import sampling
from handlers.text.sampling import Sampler, choose, drawn, from_nucleus

VOCABULARY = 40


def logits(rows: int, vocabulary: int = VOCABULARY, seed: int = 0) -> Tensor:
    return 2 * torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed))


def exact(row: Tensor, temperature: float, top_p: float) -> Tensor:
    """The distribution by its definition, in float64, a token after the other."""
    probabilities = (row.double() / temperature).softmax(0)
    kept, reached = torch.zeros_like(probabilities), 0.0
    for index in probabilities.argsort(descending=True, stable=True).tolist():
        if reached >= top_p and kept.any():
            break
        kept[index] = probabilities[index]
        reached += float(probabilities[index])
    return kept / kept.sum()


def counted(row: Tensor, temperature: float, top_p: float) -> Tensor:
    """How often each token comes in 20 000 draws."""
    samplers = [Sampler(temperature, top_p, seed) for seed in range(2000)]
    steps = [choose(row.expand(2000, -1), samplers) for _ in range(10)]
    return torch.tensor(steps).flatten().bincount(minlength=VOCABULARY)


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.9), (2.0, 0.999)])
@pytest.mark.parametrize("candidates", [8, 1024])
def test_tokens_are_drawn_from_the_exact_distribution(
    temperature: float, top_p: float, candidates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not the nucleus is among the first candidates."""
    monkeypatch.setattr(sampling, "CANDIDATES", candidates)
    [row] = logits(1)
    counts = counted(row, temperature, top_p)
    expected = exact(row, temperature, top_p) * 20_000
    assert (counts[expected == 0] == 0).all()
    common = expected >= 5
    rare = (expected > 0) & ~common
    observed = [*counts[common].tolist(), *([float(counts[rare].sum())] if rare.any() else [])]
    wanted = [*expected[common].tolist(), *([float(expected[rare].sum())] if rare.any() else [])]
    assert chisquare(observed, wanted).pvalue > 1e-4


def test_a_draw_that_is_off_by_a_little_fails_the_same_test() -> None:
    [row] = logits(1)
    counts = counted(row, 1.1, 1.0)
    assert chisquare(counts.tolist(), (exact(row, 1.0, 1.0) * 20_000).tolist()).pvalue < 1e-4


def test_a_text_draws_the_same_whatever_shares_the_batch() -> None:
    rows = logits(6)
    settings = [(0.7, 0.9, 1), (0.0, 1.0, 2), (1.0, 1.0, 3), (2.0, 0.2, 4), (0.0, 0.3, 5), (1.0, 0.0, 6)]
    alone = []
    for row, each in zip(rows, settings, strict=True):
        sampler = Sampler(*each)
        alone.append([choose(row[None], [sampler])[0] for _ in range(5)])
    for order in ([0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 2, 4], [2, 0]):
        samplers = [Sampler(*settings[index]) for index in order]
        steps = [choose(rows[order], samplers) for _ in range(5)]
        assert [list(each) for each in zip(*steps, strict=True)] == [alone[index] for index in order]


def test_without_a_temperature_or_a_share_it_is_the_most_probable_token() -> None:
    rows = logits(4, 5000)
    wanted = rows.argmax(1).tolist()
    assert choose(rows, [Sampler(0, 1, None)] * 4) == wanted
    assert choose(rows, [Sampler(1.0, 0, None)] * 4) == wanted
    assert choose(rows, [Sampler(1e-300, 1.0, None)] * 4) == wanted
    assert choose(rows.half(), [Sampler(0, 1, None)] * 4) == rows.half().argmax(1).tolist()


def test_a_nucleus_is_the_same_among_few_candidates_and_among_all() -> None:
    weights = (logits(64, 3000) * 1.5).exp()
    numbers = torch.rand(64, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    shares = torch.linspace(0, 0.99, 64, dtype=torch.float64)[:, None]
    few, is_there = from_nucleus(weights, shares, numbers, 300)
    every, all_there = from_nucleus(weights, shares, numbers, 3000)
    assert all_there.all()
    assert 0 < is_there.sum() < 64
    assert torch.equal(few[is_there], every[is_there])


def test_no_token_without_weight_is_drawn() -> None:
    weights = torch.tensor([[0.0, 1.0, 0.0, 1.0, 0.0]] * 4)
    numbers = torch.tensor([[0.0], [0.49], [0.5], [1 - 2**-53]], dtype=torch.float64)
    assert drawn(weights, numbers).tolist() == [1, 1, 3, 3]


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_logits_that_are_not_finite_are_of_one_text(temperature: float) -> None:
    rows = logits(5)
    rows[1, 3] = torch.nan
    rows[2] = -torch.inf
    rows[3, 0] = torch.inf
    rows[4, 5:] = -torch.inf  # what a model rules out
    found = choose(rows, [Sampler(temperature, 0.9, seed) for seed in range(5)])
    assert [token is None for token in found] == [False, True, True, True, False]
    assert found[4] is not None
    assert found[4] < 5
