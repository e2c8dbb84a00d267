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


def run_batch(predict: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]) -> list[Any]:
    """One output, or one RequestError, for each item.

    Out of device memory halves the batch until it fits. Any other failure is looked for item by item, so that only
    the item that causes it is answered with an error. A device error leaves CUDA's context unusable for good: the
    process ends at once and TorchServe starts another.
    """
    if not items:
        return []
    try:
        outputs = list(predict(items))
        if len(outputs) != len(items):
            raise ValueError(f"the handler's predict returned {len(outputs)} outputs for {len(items)} items")
        return outputs
    except torch.OutOfMemoryError:
        logger.warning("out of device memory at batch size %d", len(items))
        if len(items) == 1:
            return [OutOfMemory("the input does not fit into the device's memory")]
    except RequestError as error:
        if len(items) == 1:
            return [error.detached()]
    except Exception as error:
        if is_poisoned(error):
            logger.critical("the device failed; this worker ends so that a new one starts", exc_info=True)
            logging.shutdown()
            os._exit(1)
        if len(items) == 1:
            logger.exception("the model failed on an item")
            return [InternalError("the model failed on this input; the cause is in the server's log")]
        return [output for item in items for output in run_batch(predict, [item])]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = (len(items) + 1) // 2
    return run_batch(predict, items[:middle]) + run_batch(predict, items[middle:])


def is_poisoned(error: Exception) -> bool:
    """Whether the device's context is lost (an illegal access, a device-side assertion).

    Memory that could not be had, such as the host's for a copy, leaves the context as it was.
    """
    if not isinstance(error, torch.AcceleratorError) and "CUDA error" not in str(error):
        return False
    code = getattr(error, "error_code", None)
    return code != MEMORY_ALLOCATION if code is not None else "CUDA error: out of memory" not in str(error)
