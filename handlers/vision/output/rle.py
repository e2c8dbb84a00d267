"""COCO run-length encoding of masks, by the reference implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """A mask (height, width) as {"size": [height, width], "counts": text}, as COCO's tools read it."""
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in encoded["size"]], "counts": encoded["counts"].decode("ascii")}
