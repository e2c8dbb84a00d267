"""JPEGs on a GPU, by nvJPEG: which of them it decodes as the CPU does, and a batch of them in one call."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import torch
import torchvision
from torch import Tensor

from handlers.vision.formats.header import UPRIGHT, Header
from handlers.vision.formats.jpeg import JpegHeader

END_OF_IMAGE = b"\xff\xd9"
COMPONENTS = (1, 2, 3)  # Y, Cb, Cr as JFIF numbers them
YCBCR = 1  # as Adobe's marker names the colours
# https://docs.nvidia.com/cuda/nvjpeg/index.html: nvjpegBackend_t, the hardware's engines first; nvjpegOutputFormat_t,
# planes; and NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION, since 12.1: colours of half the resolution interpolated, as
# libjpeg-turbo has them, and not repeated, as torchvision, which brings the library, has it do.
BACKENDS = {"hardware": 3, "default": 0}
RGB = 3
INTERPOLATED = 32
MAX_COMPONENTS = 4


def is_plain(header: Header, data: bytes) -> bool:
    """Whether a file is a baseline JPEG in YCbCr, upright and complete.

    nvJPEG decodes a file that was cut off without a word, turns none by its EXIF orientation, and takes three
    components for YCbCr where an Adobe marker says RGB. Compressed data hold FF D9 nowhere but at their end, so a
    file that ends with it has not been cut off in them; one with something behind it is left to the CPU.
    """
    return (
        isinstance(header, JpegHeader)
        and header.components == COMPONENTS
        and not header.progressive
        and header.adobe in (None, YCBCR)
        and header.orientation == UPRIGHT
        and data.endswith(END_OF_IMAGE)
    )


class Planes(ctypes.Structure):
    """nvjpegImage_t."""

    _fields_ = (("channel", ctypes.c_void_p * MAX_COMPONENTS), ("pitch", ctypes.c_size_t * MAX_COMPONENTS))


class NvJpeg:
    """Decodes batches of JPEGs of one size, in one thread, as long as the process lives.

    RuntimeError where the library or the device is missing. backend: a key of BACKENDS.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.library = library()
        self.handle, self.state = ctypes.c_void_p(), ctypes.c_void_p()
        self.size = 0
        with torch.cuda.device(device):
            statuses = {}
            for name, backend in BACKENDS.items():
                self.backend = name
                statuses[name] = self.library.nvjpegCreateEx(
                    backend, None, None, INTERPOLATED, ctypes.byref(self.handle)
                )
                if not statuses[name]:
                    break
            else:
                raise RuntimeError(f"nvJPEG cannot be used: {statuses}")
            self.check("create a state", self.library.nvjpegJpegStateCreate(self.handle, ctypes.byref(self.state)))

    def __call__(self, files: Sequence[bytes], height: int, width: int) -> Tensor:
        """uint8 (N, 3, height, width) in RGB, on the device. RuntimeError when it refuses any of the files.

        The engines wait for nothing that is queued on a stream and may still read this memory, hence the first wait;
        the second is for the files' bytes.
        """
        for file in files:
            self.check_size(file, height, width)
        stream = torch.cuda.current_stream(self.device)
        with torch.cuda.device(self.device):
            batch_NCHW = torch.empty(len(files), 3, height, width, dtype=torch.uint8, device=self.device)
            stream.synchronize()
            if self.size != len(files):
                self.size = 0
                self.check(
                    "prepare a batch",
                    self.library.nvjpegDecodeBatchedInitialize(self.handle, self.state, len(files), 1, RGB),
                )
                self.size = len(files)
            data = (ctypes.c_char_p * len(files))(*files)
            lengths = (ctypes.c_size_t * len(files))(*map(len, files))
            status = self.library.nvjpegDecodeBatched(
                self.handle, self.state, data, lengths, planes_of(batch_NCHW), stream.cuda_stream
            )
            stream.synchronize()
        if status:
            self.size = 0  # a file that it refused may have left the batch half decoded
        self.check("decode a batch", status)
        return batch_NCHW

    def check_size(self, file: bytes, height: int, width: int) -> None:
        """By the library's own reading, since it writes as many pixels as that says."""
        components, subsampling = ctypes.c_int(), ctypes.c_int()
        widths, heights = (ctypes.c_int * MAX_COMPONENTS)(), (ctypes.c_int * MAX_COMPONENTS)()
        status = self.library.nvjpegGetImageInfo(
            self.handle, file, len(file), ctypes.byref(components), ctypes.byref(subsampling), widths, heights
        )
        self.check("read a header", status)
        if (components.value, heights[0], widths[0]) != (3, height, width):
            raise RuntimeError(
                f"nvJPEG reads {components.value} components of {widths[0]} x {heights[0]}; wanted {width} x {height}"
            )

    def check(self, work: str, status: int) -> None:
        if status:
            raise RuntimeError(f"nvJPEG could not {work}: status {status}")


def library() -> ctypes.CDLL:
    """The libnvjpeg that torchvision brings. RuntimeError where its build has none."""
    folder = Path(torchvision.__file__).parent.with_name("torchvision.libs")
    path = next(iter(sorted(folder.glob("libnvjpeg*.so*"))), None)
    if path is None:
        raise RuntimeError("this build of torchvision brings no libnvjpeg")
    try:
        found = ctypes.CDLL(str(path))
    except OSError as error:
        raise RuntimeError(f"{path.name} cannot be loaded: {error}") from None
    pointer, number = ctypes.c_void_p, ctypes.c_int
    found.nvjpegCreateEx.argtypes = [number, pointer, pointer, ctypes.c_uint, pointer]
    found.nvjpegJpegStateCreate.argtypes = [pointer, pointer]
    found.nvjpegGetImageInfo.argtypes = [pointer, ctypes.c_char_p, ctypes.c_size_t, *[pointer] * 4]
    found.nvjpegDecodeBatchedInitialize.argtypes = [pointer, pointer, number, number, number]
    found.nvjpegDecodeBatched.argtypes = [pointer] * 6
    return found


def planes_of(batch_NCHW: Tensor) -> ctypes.Array[Planes]:
    """Where each image's planes are in memory, contiguous."""
    count, colours, height, width = batch_NCHW.shape
    images = (Planes * count)()
    for number, image in enumerate(images):
        for colour in range(colours):
            image.channel[colour] = batch_NCHW.data_ptr() + (number * colours + colour) * height * width
            image.pitch[colour] = width
    return images
