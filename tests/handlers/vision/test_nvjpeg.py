"""The library that decodes JPEGs on a GPU, called as far as it goes without one."""

import ctypes
from typing import Any

import pytest
import torch
import torchvision

from handlers.vision.nvjpeg import INTERPOLATED, NvJpeg, library, planes_of

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
MAJOR, MINOR = 0, 1  # libraryPropertyType


def version(found: ctypes.CDLL) -> tuple[int, int]:
    numbers = []
    for part in (MAJOR, MINOR):
        number = ctypes.c_int()
        assert found.nvjpegGetProperty(part, ctypes.byref(number)) == 0
        numbers.append(number.value)
    return numbers[0], numbers[1]


def test_the_library_of_torchvision_interpolates_colours() -> None:
    assert INTERPOLATED == 1 << 5
    assert version(library()) >= (12, 1)


@NO_GPU
def test_without_a_driver_each_backend_is_tried_and_its_status_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call that needs a driver is the one that makes a handle."""
    monkeypatch.setattr(torch.cuda, "device", lambda device: memoryview(b""))  # a context manager without a device
    with pytest.raises(RuntimeError, match=r"nvJPEG cannot be used: \{'hardware': [1-9]\d*, 'default': [1-9]\d*\}"):
        NvJpeg(torch.device("cuda:0"))


def test_a_build_without_the_library_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision, "__file__", "/nowhere/torchvision/__init__.py")
    with pytest.raises(RuntimeError, match="brings no libnvjpeg"):
        library()


def test_planes_are_where_the_images_of_a_batch_are() -> None:
    batch = torch.zeros(3, 3, 4, 5, dtype=torch.uint8)
    for number, image in enumerate(planes_of(batch)):
        for colour in range(3):
            assert image.pitch[colour] == 5
            ctypes.memset(image.channel[colour], 10 * number + colour + 1, 4 * 5)
    wanted = torch.tensor([[10 * number + colour + 1 for colour in range(3)] for number in range(3)])
    assert torch.equal(batch, wanted.to(torch.uint8)[:, :, None, None].expand(3, 3, 4, 5))


class Reader:
    """Reads the size that it is made with out of any header, as the library might out of a file with two."""

    def __init__(self, components: int, width: int, height: int) -> None:
        self.found = (components, width, height)

    def nvjpegGetImageInfo(  # noqa: N802 - the library's name
        self, handle: Any, data: bytes, length: int, components: Any, subsampling: Any, widths: Any, heights: Any
    ) -> int:
        components._obj.value, widths[0], heights[0] = self.found
        return 0


@pytest.mark.parametrize("found", [(3, 9, 8), (3, 8, 9), (1, 8, 8), (3, 80, 80)])
def test_a_file_that_the_library_reads_otherwise_is_not_decoded(found: tuple[int, int, int]) -> None:
    """It writes as many pixels as it reads, whatever room there is."""
    decoder = object.__new__(NvJpeg)
    decoder.handle = ctypes.c_void_p()
    decoder.library = Reader(*found)  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="nvJPEG reads"):
        decoder.check_size(b"", 8, 8)
    decoder.library = Reader(3, 8, 8)  # type: ignore[assignment]
    decoder.check_size(b"", 8, 8)


class Refusing(Reader):
    """Refuses the first batch; counts how often a batch was prepared."""

    def __init__(self) -> None:
        super().__init__(3, 8, 8)
        self.prepared: list[int] = []
        self.statuses = [5, 0, 0]

    def nvjpegDecodeBatchedInitialize(  # noqa: N802
        self, handle: Any, state: Any, count: int, threads: int, output: int
    ) -> int:
        self.prepared.append(count)
        return 0

    def nvjpegDecodeBatched(self, *arguments: Any) -> int:  # noqa: N802
        return self.statuses.pop(0)


class Stream:
    cuda_stream = 0

    def synchronize(self) -> None:
        pass


def test_after_a_batch_that_was_refused_the_next_is_prepared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device", lambda device: memoryview(b""))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    library = Refusing()
    decoder = object.__new__(NvJpeg)
    decoder.device, decoder.size = torch.device("cpu"), 0
    decoder.handle, decoder.state = ctypes.c_void_p(), ctypes.c_void_p()
    decoder.library = library  # type: ignore[assignment]
    with pytest.raises(RuntimeError, match="could not decode a batch: status 5"):
        decoder([b"", b""], 8, 8)
    assert library.prepared == [2]
    for _ in range(2):
        assert decoder([b"", b""], 8, 8).shape == (2, 3, 8, 8)
    assert library.prepared == [2, 2]
