"""TorchServe's BaseHandler, without what else its import does.

On a GPU of compute capability 8.0 or higher the import lowers the precision of float32 matrix products for the whole
process; `handlers.acceleration.precision` decides that here, and only where the answers stay the same. The import also
warns about runtimes that are not installed and that our handlers never use.
"""

import logging
from typing import Any

import torch

from handlers.artifact import LoadError

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
    """The GPU that TorchServe gave this worker, which is its current one from then on, or the CPU.

    LoadError for a GPU that torch cannot use: on a CPU it would be served in a GPU's batches, and nobody would know.
    """
    gpu_id = context.system_properties.get("gpu_id")
    if gpu_id is None or str(gpu_id) in ("", "-1"):
        return torch.device("cpu")
    device = torch.device(f"cuda:{int(gpu_id)}")
    try:
        torch.cuda.set_device(device)
        torch.zeros(1, device=device)  # the first kernel, which an old GPU has no code for
        return device
    except (AssertionError, RuntimeError) as error:  # the first of a build without CUDA
        reason = str(error).strip().partition("\n")[0]
        raise LoadError(
            f"TorchServe gives this worker GPU {gpu_id}, which torch {torch.__version__} cannot use: {reason}. It "
            "wants NVIDIA's driver 580 or newer and a GPU of compute capability 7.5 or higher; or serve on the CPU, "
            "with CUDA_VISIBLE_DEVICES empty"
        ) from None
