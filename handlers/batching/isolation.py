"""Running a batch so that no item can hurt another: memory, a poisoned device, one item that breaks the model."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch

from handlers.errors import InternalError, OutOfMemory, RequestError
from handlers.rare_tracebacks import RareTracebacks

logger = logging.getLogger(__name__)
logger.addFilter(RareTracebacks())

# https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html
MEMORY_ALLOCATION = 2
# As torch words cudaErrorMemoryAllocation, and the statuses of cuBLAS and cuDNN.
NO_MEMORY = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


def run_batch(predict: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]) -> list[Any]:
    """One output, or one RequestError, for each item.

    Out of device memory halves the batch until it fits. Any other failure is looked for item by item, so that only
    the item that causes it is answered with an error. A device error leaves CUDA's context unusable for good: the
    process ends at once and TorchServe starts another.
    """
    if not items:
        return []
    half = (len(items) + 1) // 2
    try:
        outputs = list(predict(items))
        if len(outputs) != len(items):
            raise ValueError(f"the handler's predict returned {len(outputs)} outputs for {len(items)} items")
        return outputs
    except RequestError as error:
        if len(items) == 1:
            return [error.detached()]
        size, is_short = half, False
    except Exception as error:
        if is_poisoned(error):
            logger.critical("the device failed; this worker ends so that a new one starts", exc_info=True)
            logging.shutdown()
            os._exit(1)
        is_short = is_out_of_memory(error)
        if is_short:
            logger.warning("out of device memory at batch size %d", len(items))
        elif len(items) == 1:
            logger.exception("the model failed on an item")
            return [InternalError("the model failed on this input; the cause is in the server's log")]
        size = half if is_short else 1
    # Here nothing holds the error any longer, and with it the tensors of the frames it came through.
    if is_short:
        torch.cuda.empty_cache()  # other workers may need it; of a process without a GPU it does nothing
        if len(items) == 1:
            return [OutOfMemory("the input does not fit into the device's memory")]
    parts = [items[first : first + size] for first in range(0, len(items), size)]
    return [output for part in parts for output in run_batch(predict, part)]


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory could not be had: the device's, that of a library's workspace, or the host's for a copy."""
    if isinstance(error, torch.OutOfMemoryError) or getattr(error, "error_code", None) == MEMORY_ALLOCATION:
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in NO_MEMORY)


def is_poisoned(error: Exception) -> bool:
    """Whether the device's context is lost (an illegal access, a device-side assertion).

    After such an error every call fails. Memory that could not be had leaves the context as it was, and so does a call
    that a library refuses, as cuBLAS and cuDNN do for shapes and types that a GPU has no kernel for. A process that has
    never used CUDA has no context to lose, whatever an error's message quotes.
    """
    if not torch.cuda.is_initialized() or is_out_of_memory(error):
        return False
    if not isinstance(error, torch.AcceleratorError) and "CUDA error" not in str(error):
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False
