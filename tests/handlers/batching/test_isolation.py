"""One item never hurts another."""

import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from handlers.batching.isolation import is_poisoned, run_batch
from handlers.errors import InternalError, InvalidInput, OutOfMemory

PROJECT = Path(__file__).parents[3]


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


@pytest.fixture
def lost_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a process on a GPU that no longer answers."""

    def synchronize() -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)


def test_words_do_not_end_a_worker_without_a_gpu() -> None:
    assert not is_poisoned(KeyError("CUDA error: a text that somebody sent"))


@pytest.mark.usefixtures("lost_device")
def test_a_lost_device_is_told_from_an_ordinary_error() -> None:
    assert is_poisoned(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not is_poisoned(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_a_device_that_still_answers_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuBLAS refuses a type that an older GPU has no kernel for, a launch a grid that is too large: neither ends the
    worker, and with it everybody's requests."""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    refused = torch.AcceleratorError("CUDA error: invalid configuration argument")
    refused.error_code = 9  # type: ignore[attr-defined]
    for error in (refused, RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmEx`")):
        assert not is_poisoned(error)

        def predict(items: Sequence[int], error: Exception = error) -> list[int]:
            if 2 in items:
                raise error
            return list(items)

        outputs = run_batch(predict, [1, 2, 3])
        assert isinstance(outputs.pop(1), InternalError)
        assert outputs == [1, 3]


def failing(code: int | None, message: str) -> Exception:
    error = torch.AcceleratorError(message) if code is not None else RuntimeError(message)
    if code is not None:
        error.error_code = code  # type: ignore[attr-defined]
    return error


@pytest.mark.usefixtures("lost_device")
@pytest.mark.parametrize(
    ("code", "message"),
    [
        (2, "CUDA error: short"),  # torch gives the error of memory that cannot be pinned CUDA's code
        (None, "CUDA error: out of memory"),
        (None, "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        (None, "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_memory_that_cannot_be_had_halves_the_batch_as_torch_s_own_error_does(code: int | None, message: str) -> None:
    """And leaves the device as it was."""
    error = failing(code, message)
    assert not is_poisoned(error)

    def predict(items: Sequence[int]) -> list[int]:
        if 3 in items:
            raise error
        return list(items)

    outputs = run_batch(predict, [1, 2, 3, 4])
    assert isinstance(outputs.pop(2), OutOfMemory)
    assert outputs == [1, 2, 4]
    lost = failing(700, "CUDA error: lost")
    assert is_poisoned(lost)


class Held:
    """Stands for the tensors of a batch that has failed."""


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, ValueError, InvalidInput])
def test_what_a_failed_batch_held_is_free_before_its_parts_run(kind: type[Exception]) -> None:
    alive: list[weakref.ref[Held]] = []

    def predict(items: Sequence[int]) -> list[int]:
        assert not any(held() for held in alive)
        held = Held()
        alive.append(weakref.ref(held))
        if len(items) > 1:
            raise kind("the batch failed")
        return list(items)

    assert run_batch(predict, [1, 2, 3]) == [1, 2, 3]


def test_a_worker_whose_device_is_lost_ends() -> None:
    """A new process is the only way to another context."""
    script = """
import torch
from handlers.batching.isolation import run_batch
def lost():
    raise RuntimeError("CUDA error: device-side assert triggered")
torch.cuda.is_initialized, torch.cuda.synchronize = lambda: True, lost
def predict(items):
    raise RuntimeError("CUDA error: device-side assert triggered")
run_batch(predict, [1, 2])
print("it went on")
"""
    run = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "the device failed" in run.stderr
    assert "it went on" not in run.stdout
