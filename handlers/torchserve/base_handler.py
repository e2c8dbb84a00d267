"""TorchServe's BaseHandler, without what else its import does.

On a GPU of compute capability 8.0 or higher the import lowers the precision of float32 matrix products for the whole
process; `handlers.acceleration.precision` decides that here, and only where the answers stay the same. The import also
warns about runtimes that are not installed and that our handlers never use.
"""

import logging
from typing import Any

import torch

precision = torch.get_float32_matmul_precision()
upstream = logging.getLogger("ts.torch_handler.base_handler")
level = upstream.level
upstream.setLevel(logging.ERROR)
from ts.handler_utils.timer import timed  # noqa: E402
from ts.torch_handler import base_handler  # noqa: E402

upstream.setLevel(level)
torch.set_float32_matmul_precision(precision)

__all__ = ["BaseHandler", "device_of", "timed"]


class BaseHandler(base_handler.BaseHandler):
    """Without the switches that it reads from the first request's headers for the whole batch.

    Here each request is asked for itself whether it wants an explanation or the model card.
    """

    def __init__(self) -> None:
        super().__init__()
        del self.explain  # a flag; a subclass has a method of this name

    def _is_explain(self) -> bool:
        return False

    def _is_describe(self) -> bool:
        return False


def device_of(context: Any) -> torch.device:
    """The GPU that TorchServe gave this worker, or the CPU."""
    gpu_id = context.system_properties.get("gpu_id")
    if gpu_id is not None and str(gpu_id) not in ("", "-1") and torch.cuda.is_available():
        return torch.device(f"cuda:{gpu_id}")
    return torch.device("cpu")
