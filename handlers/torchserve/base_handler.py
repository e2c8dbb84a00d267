"""TorchServe's BaseHandler, without what else its import does.

On a GPU of compute capability 8.0 or higher the import lowers the precision of float32 matrix products for the whole
process; `handlers.acceleration.precision` decides that here, and only where the answers stay the same. The import also
warns about runtimes that are not installed and that our handlers never use.
"""

import logging

import torch

precision = torch.get_float32_matmul_precision()
upstream = logging.getLogger("ts.torch_handler.base_handler")
level = upstream.level
upstream.setLevel(logging.ERROR)
from ts.handler_utils.timer import timed  # noqa: E402
from ts.torch_handler.base_handler import BaseHandler  # noqa: E402

upstream.setLevel(level)
torch.set_float32_matmul_precision(precision)

__all__ = ["BaseHandler", "timed"]
