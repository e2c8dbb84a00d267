"""Buckets of batch sizes, and what is run for a batch between them."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from handlers.acceleration.batch_buckets import Bucket, Buckets, LazyBuckets, bucket_sizes
from tests.handlers.acceleration.network import EXAMPLE, LARGEST, images, network


def still(module: nn.Module, size: int) -> Bucket:
    """A bucket as a graph is one: a run of one size over memory that stays; on a CPU the module runs again instead."""
    inputs = EXAMPLE.repeat(size, 1, 1, 1)
    outputs = tuple(module(inputs))

    def replay() -> None:
        for output, new in zip(outputs, module(inputs), strict=True):
            output.copy_(new)

    return Bucket(inputs, outputs, replay)


@pytest.mark.parametrize(
    ("largest", "sizes"), [(1, [1]), (2, [1, 2]), (5, [1, 2, 3, 4, 5]), (32, [1, 2, 3, 4, 6, 8, 12, 16, 24, 32])]
)
def test_buckets_go_up_to_the_largest_batch(largest: int, sizes: list[int]) -> None:
    assert bucket_sizes(largest) == sizes


def test_at_most_a_third_of_a_run_is_filling() -> None:
    for largest in (1, 7, 33, 100, 1024):
        sizes = bucket_sizes(largest)
        assert sizes[-1] == largest
        assert all(3 * (above - below - 1) <= above for below, above in pairwise(sizes))


@torch.inference_mode()
def test_every_batch_size_answers_as_the_module_does() -> None:
    module = network()
    buckets = Buckets([still(module, size) for size in bucket_sizes(LARGEST)], module)
    # Down and up again: what an earlier batch left behind must not be seen.
    for size in [*range(2 * LARGEST, 0, -1), *range(1, 2 * LARGEST + 1), 13]:
        batch = images(size, size)
        for found, wanted in zip(buckets(batch), module(batch), strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_an_answer_outlives_the_next_batch() -> None:
    module = network()
    buckets = Buckets([still(module, 2)], module)
    (first,) = buckets(images(2, 1))
    kept = first.clone()
    buckets(images(2, 2))
    assert torch.equal(first, kept)


def test_the_smallest_bucket_that_fits_is_run_and_larger_batches_are_split() -> None:
    ran: list[int] = []

    def counting(size: int) -> Bucket:
        inputs = torch.zeros(size, 1)
        return Bucket(inputs, (inputs * 2,), lambda: ran.append(size))

    buckets = Buckets([counting(size) for size in (4, 1, 2)], lambda batch: (batch,))
    for size in (1, 2, 3, 4, 5, 11):
        buckets(torch.ones(size, 1))
    assert ran == [1, 2, 4, 4, 4, 1, 4, 4, 4]


def test_another_shape_or_type_runs_otherwise() -> None:
    def refuse() -> None:
        raise AssertionError("the bucket ran")

    inputs = torch.zeros(2, 3)
    buckets = Buckets([Bucket(inputs, (inputs,), refuse)], lambda batch: (batch.sum(),))
    for batch in (torch.ones(2, 4), torch.ones(2, 3, dtype=torch.float64), torch.ones(0, 3)):
        assert buckets(batch)[0] == batch.sum()


def test_buckets_of_a_few_lengths_are_made_when_they_first_come() -> None:
    """And a shape for which there can be none runs otherwise, without another try."""
    made: list[tuple[int, ...]] = []

    def make(batch: Tensor) -> Bucket | None:
        made.append(tuple(batch.shape))
        if batch.shape[-1] == 8:
            return None
        inputs = batch.clone()
        output = inputs.double().cumsum(-1)

        def replay() -> None:
            output.copy_(inputs.double().cumsum(-1))

        return Bucket(inputs, (output,), replay)

    def otherwise(batch: Tensor) -> tuple[Tensor]:
        return (batch.double().cumsum(-1),)

    function = LazyBuckets([4, 8], 6, make, otherwise)
    for size, length in ((3, 4), (5, 4), (14, 4), (2, 8), (2, 8), (7, 5), (0, 4), (3, 4)):
        batch = torch.randint(0, 99, (size, length))
        assert torch.equal(function(batch)[0], otherwise(batch)[0])
    assert made == [(3, 4), (6, 4), (2, 4), (2, 8)]
    assert str(function).endswith("of lengths 4")
