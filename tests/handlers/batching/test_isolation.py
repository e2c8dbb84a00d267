"""One item never hurts another."""

from collections.abc import Sequence

import torch

from handlers.batching.isolation import is_poisoned, run_batch
from handlers.errors import InternalError, InvalidInput, OutOfMemory


def test_outputs_keep_their_order() -> None:
    assert run_batch(lambda items: [item * 2 for item in items], [1, 2, 3]) == [2, 4, 6]
    assert run_batch(lambda items: [], []) == []


def test_out_of_memory_halves_the_batch() -> None:
    sizes: list[int] = []

    def predict(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        if len(items) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return list(items)

    assert run_batch(predict, [1, 2, 3, 4, 5]) == [1, 2, 3, 4, 5]
    assert sizes == [5, 3, 2, 1, 2]


def test_an_item_too_large_for_the_device_is_alone_in_failing() -> None:
    def predict(items: Sequence[int]) -> list[int]:
        if 3 in items:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return list(items)

    outputs = run_batch(predict, [1, 2, 3, 4])
    assert isinstance(outputs.pop(2), OutOfMemory)
    assert outputs == [1, 2, 4]


def test_an_item_that_breaks_the_model_is_alone_in_failing() -> None:
    def predict(items: Sequence[int]) -> list[float]:
        return [1 / item for item in items]

    outputs = run_batch(predict, [1, 0, 2])
    assert isinstance(outputs.pop(1), InternalError)
    assert outputs == [1.0, 0.5]


def test_an_error_the_task_raises_keeps_its_kind() -> None:
    def predict(items: Sequence[int]) -> list[int]:
        if 0 in items:
            raise InvalidInput("zero")
        return list(items)

    outputs = run_batch(predict, [1, 0])
    assert outputs[0] == 1
    assert isinstance(outputs[1], InvalidInput)


def test_a_wrong_number_of_outputs_is_the_models_fault() -> None:
    assert all(isinstance(output, InternalError) for output in run_batch(lambda items: [], [1, 2]))


def test_a_lost_device_is_told_from_an_ordinary_error() -> None:
    assert is_poisoned(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not is_poisoned(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_memory_that_cannot_be_had_leaves_the_device_as_it_was() -> None:
    """As when the host's memory cannot be pinned; torch gives such an error CUDA's code, 2."""
    lost, short = torch.AcceleratorError("CUDA error: lost"), torch.AcceleratorError("CUDA error: short")
    lost.error_code, short.error_code = 700, 2  # type: ignore[attr-defined]
    assert is_poisoned(lost)
    assert not is_poisoned(short)
    assert not is_poisoned(RuntimeError("CUDA error: out of memory"))
