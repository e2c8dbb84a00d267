"""Encodes images without loss, so that a model gets the same pixels as from a file."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from client.inputs.arrays import array_of, is_array, is_of, is_tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor

ORIENTATION = 0x0112  # EXIF tag
UPRIGHT = 1
# Pillow's modes that PNG stores directly; others are converted to one of these without loss, or stored as TIFF.
PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
TIFF = ("CMYK", "I", "F")
JPEG = ("L", "RGB", "CMYK")
CONVERTED = {"RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB", "PA": "RGBA", "RGBa": "RGBA", "La": "LA"}
BROKEN = (SyntaxError, ValueError, TypeError, KeyError, EOFError, struct.error)  # what Pillow raises for broken EXIF


@dataclass(frozen=True)
class JpegImage:
    """An image to send as JPEG, which is several times smaller than PNG but not lossless.

    image: a Pillow image, a uint8 array (height, width, 3), or a uint8 tensor (3, height, width). quality: 1 to 100.
    """

    image: Image | NDArray[Any] | Tensor
    quality: int = 90

    def encoded(self) -> tuple[bytes, str]:
        """The encoded file and its media type. Raises ValueError for transparent pixels or more than 8 bits."""
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality: got {self.quality}, wanted 1 to 100")
        if not is_image(self.image):
            raise ValueError(f"got {described(self.image)}; wanted a Pillow image, a uint8 array [height, width, 3] or "
                             "a uint8 tensor [3, height, width]")  # fmt: skip
        image, orientation = opened(self.image)
        if image.has_transparency_data or image.mode in ("I", "F", "I;16"):
            raise ValueError(
                f"an image of mode {image.mode} would lose its transparency or depth as JPEG; send it without JpegImage"
            )
        if image.mode not in JPEG:
            image = image.convert("L" if image.mode == "1" else "RGB")
        return saved(image, "JPEG", orientation, quality=self.quality), "image/jpeg"


def is_image(value: object) -> bool:
    """Whether the value is a Pillow image, a uint8 array (height, width, 3), or a uint8 tensor (3, height, width).

    Other shapes are ambiguous: four channels could be the four frames of a policy's observation.
    """
    if is_of(value, "PIL.Image", "Image"):
        return True
    if not is_array(value):
        return False
    shape, dtype = tuple(value.shape), str(value.dtype)  # type: ignore[attr-defined]
    channels, uint8 = (0, "torch.uint8") if is_tensor(value) else (2, "uint8")
    return dtype == uint8 and len(shape) == 3 and shape[channels] == 3 and 0 not in shape


def encoded_image(value: Any) -> tuple[bytes, str]:
    """Encode an image and return the file and its media type: PNG, or TIFF for modes that PNG does not support.

    Keeps transparency, palettes, depth and the EXIF orientation, but no other metadata. Raises ValueError for a mode
    that no supported file format can store.
    """
    image, orientation = opened(value)
    if image.mode in TIFF:
        return saved(image, "TIFF", orientation, compression="tiff_adobe_deflate"), "image/tiff"
    # Light compression: time matters more than size.
    return saved(image, "PNG", orientation, compress_level=1), "image/png"


def opened(value: Any) -> tuple[Image, int]:
    """The image in a mode of PNG or TIFF, without metadata, and its EXIF orientation."""
    image = value if is_of(value, "PIL.Image", "Image") else from_array(value)
    image.load()  # turns a TIFF upright
    orientation = orientation_of(image)
    bare = image.copy()
    bare.info = {name: bare.info[name] for name in ("transparency",) if name in bare.info}
    if 0 in bare.size:
        raise ValueError(f"the image has {bare.width} x {bare.height} pixels")
    if bare.mode in ("I;16B", "I;16L", "I;16N"):
        bare = bare.convert("I").convert("I;16")  # converting directly, Pillow would clip to 8 bits
    if bare.mode in CONVERTED:
        bare = bare.convert(CONVERTED[bare.mode])
    if bare.mode not in (*PNG, *TIFF):
        raise ValueError(
            f"the image's mode is {bare.mode}; wanted one of {', '.join((*PNG, *TIFF))}; convert it to RGB"
        )
    return bare, orientation


def from_array(value: Any) -> Image:
    try:
        from PIL import Image
    except ImportError:
        raise ModuleNotFoundError("sending an array as an image needs Pillow: pip install pillow") from None
    array = array_of(value)
    if is_tensor(value):
        array = array.transpose(1, 2, 0)
    return Image.fromarray(array)


def orientation_of(image: Image) -> int:
    """The EXIF orientation; upright if there is none or it is unreadable."""
    from PIL.Image import Exif

    exif = Exif()
    try:
        exif.load(image.info.get("exif") or b"")
        return int(exif.get(ORIENTATION, UPRIGHT))
    except BROKEN:
        return UPRIGHT


def saved(image: Image, format: str, orientation: int, **options: Any) -> bytes:
    from PIL.Image import Exif

    if orientation != UPRIGHT:
        exif = Exif()
        exif[ORIENTATION] = orientation
        options["exif"] = exif.tobytes()
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def described(value: object) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"{getattr(value, 'dtype', '')} {list(shape)}"
