"""Images decoded with the others of their batch answer as those decoded alone, and fail alone."""

import io
import logging
from collections.abc import Sequence

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from handlers.batching.isolation import run_batch
from handlers.errors import MalformedInput, RequestError, TooLarge
from handlers.protocol.payload import Payload
from handlers.vision.batching import ImageBatcher, JpegBatcher, JpegFile
from handlers.vision.decoding import decode_image, open_image
from handlers.vision.nvjpeg import NvJpeg, is_plain
from handlers.vision.transform import ImageTransform
from handlers.vision.whole_image import WholeImage
from tests.handlers.gpu import needs_gpu
from tests.inputs import IMAGES, encoded

TRANSFORM = ImageTransform(resize=96, crop=(64, 64))
CPU = torch.device("cpu")
MAX_PIXELS = 100_000


def jpeg(image: Image.Image = IMAGES[0], **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **{"quality": 90, "subsampling": 0, **options})
    return buffer.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(exif=exif)


def as_rgb(data: bytes) -> bytes:
    """With an Adobe marker that says the components are RGB."""
    return data[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00" + data[2:]


WHOLE = jpeg()
ODD = {
    "PNG": encoded(IMAGES[0]),
    "progressive": jpeg(progressive=True),
    "CMYK": jpeg(IMAGES[0].convert("CMYK")),
    "grey": jpeg(IMAGES[0].convert("L")),
    "turned": turned(),
    "RGB": as_rgb(WHOLE),
    "with more behind it": WHOLE + b"more",
    "cut off": WHOLE[:-2],
    "cut off in the middle": WHOLE[: len(WHOLE) // 2],
}


@pytest.mark.parametrize("data", [WHOLE, jpeg(subsampling=2), jpeg(exif=Image.Exif()), jpeg(restart_marker_blocks=4)])
def test_a_plain_jpeg_is_one(data: bytes) -> None:
    assert is_plain(open_image(data, MAX_PIXELS), data)


@pytest.mark.parametrize("name", ODD)
def test_what_a_gpu_may_decode_otherwise_is_not(name: str) -> None:
    assert not is_plain(open_image(ODD[name], MAX_PIXELS), ODD[name])


def together(device: torch.device = CPU, asked: list[int] | None = None) -> JpegBatcher:
    """On a CPU libjpeg-turbo decodes the batch, as strictly as nvJPEG: one refused file refuses all."""

    def decode(files: Sequence[bytes], height: int, width: int) -> Tensor:
        if asked is not None:
            asked.append(len(files))
        buffers = [torch.frombuffer(bytearray(file), dtype=torch.uint8) for file in files]
        images = torch.stack(decode_jpeg(buffers, mode=ImageReadMode.RGB))
        assert images.shape[2:] == (height, width)
        return images

    return JpegBatcher(TRANSFORM, MAX_PIXELS, device, decode if device.type == "cpu" else NvJpeg(device))


@pytest.mark.parametrize("name", [name for name in ODD if "cut off" not in name])
def test_a_mixed_batch_keeps_its_order(name: str) -> None:
    asked: list[int] = []
    images = together(asked=asked)
    files = [WHOLE, ODD[name], jpeg(IMAGES[1]), WHOLE, jpeg(IMAGES[2])]
    batch = images.batch([images.open(Payload(file)) for file in files])
    alone = ImageBatcher(TRANSFORM, MAX_PIXELS, CPU)
    assert torch.equal(batch, torch.stack([alone.decoded(alone.open(Payload(file))) for file in files]))
    sizes = [one.size for one in map(images.open, map(Payload, files)) if isinstance(one, JpegFile)]
    assert sorted(asked) == sorted(sizes.count(size) for size in set(sizes))
    assert sum(asked) == 4


def test_files_of_one_size_become_a_batch_without_a_copy() -> None:
    made: list[Tensor] = []

    def decode(files: Sequence[bytes], height: int, width: int) -> Tensor:
        made.append(torch.stack([decode_image(Payload(file)) for file in files]))
        return made[-1]

    images = JpegBatcher(WholeImage(lambda height, width: None), MAX_PIXELS, CPU, decode)
    batch = images.batch([images.open(Payload(WHOLE)), images.open(Payload(WHOLE))])
    assert batch.data_ptr() == made[0].data_ptr()


@pytest.mark.parametrize("transform", [WholeImage(lambda height, width: None), ImageTransform(resize=70)])
def test_images_of_any_sizes_keep_their_order_and_groups(transform: ImageTransform | WholeImage) -> None:
    """As detectors and segmenters without a crop take them."""
    images = JpegBatcher(transform, MAX_PIXELS, CPU, together().decode_files)
    alone = ImageBatcher(transform, MAX_PIXELS, CPU)
    small = jpeg(IMAGES[0].resize((120, 90)))
    files = [WHOLE, ODD["PNG"], small, jpeg(IMAGES[1]), small, ODD["turned"], WHOLE]
    opened = [images.open(Payload(file)) for file in files]
    wanted = [alone.decoded(alone.open(Payload(file))) for file in files]
    for found, expected in zip(images.images(opened), wanted, strict=True):
        assert found.shape == expected.shape
        assert (found.int() - expected.int()).abs().max() <= 1  # of the resize; see below
    groups = images.groups(opened)
    assert sorted(index for group in groups for index in group) == list(range(len(files)))
    for group in groups:
        batch = images.batch([opened[index] for index in group])
        assert (batch.int() - torch.stack([wanted[index] for index in group]).int()).abs().max() <= 1


@pytest.mark.parametrize("name", ["cut off", "cut off in the middle"])
def test_a_file_cut_off_is_refused_as_it_is_read(name: str) -> None:
    with pytest.raises(MalformedInput):
        together().open(Payload(ODD[name]))


def test_the_limit_of_pixels_comes_before_decoding() -> None:
    with pytest.raises(TooLarge, match="the limit is 100000"):
        together().open(Payload(jpeg(Image.new("RGB", (400, 300)))))


def broken_inside() -> bytes:
    """Its header is sound and its last bytes are those of a whole file, but its Huffman tables are not there."""
    start = WHOLE.index(b"\xff\xc4")
    length = int.from_bytes(WHOLE[start + 2 : start + 4], "big")
    return WHOLE[: start + 4] + bytes(length - 2) + WHOLE[start + 2 + length :]


def predicted(images: JpegBatcher, files: Sequence[bytes]) -> list[object]:
    opened = [images.open(Payload(file)) for file in files]
    return run_batch(lambda items: [image.cpu() for image in images.batch(items)], opened)


def check_that_it_fails_alone(images: JpegBatcher) -> None:
    bad = broken_inside()
    with pytest.raises(RequestError):  # as the CPU has always answered it
        decode_image(Payload(bad))
    outputs = predicted(images, [WHOLE, bad, jpeg(IMAGES[1]), ODD["PNG"], WHOLE])
    assert isinstance(outputs.pop(1), MalformedInput)
    for output, file in zip(outputs, [WHOLE, jpeg(IMAGES[1]), ODD["PNG"], WHOLE], strict=True):
        assert isinstance(output, Tensor)
        expected = TRANSFORM.geometry(decode_image(Payload(file)))
        assert (output.int() - expected.int()).abs().float().mean() < 1


def test_a_file_broken_inside_fails_alone() -> None:
    check_that_it_fails_alone(together())


def test_a_decoder_that_refuses_leaves_the_batch_to_the_cpu(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(files: Sequence[bytes], height: int, width: int) -> Tensor:
        raise RuntimeError("nvJPEG could not decode a batch: status 6")

    images = JpegBatcher(TRANSFORM, MAX_PIXELS, CPU, refuse)
    for files in ([WHOLE, WHOLE], [WHOLE, jpeg(IMAGES[1].resize((50, 40)))]):
        with caplog.at_level(logging.INFO):
            batch = images.batch([images.open(Payload(file)) for file in files])
        assert torch.equal(batch[0], TRANSFORM.geometry(decode_image(Payload(WHOLE))))
        assert "could not decode a batch" in caplog.text


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("CUDA error: lost")])
def test_memory_and_a_lost_device_are_not_the_files_fault(error: RuntimeError, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None:
        raise error

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lost)

    def fail(files: Sequence[bytes], height: int, width: int) -> Tensor:
        raise error

    images = JpegBatcher(TRANSFORM, MAX_PIXELS, CPU, fail)
    with pytest.raises(type(error), match="CUDA"):
        images.batch([images.open(Payload(WHOLE))])


@pytest.mark.parametrize(
    "transform",
    [
        TRANSFORM,
        ImageTransform(resize=(70, 91)),
        ImageTransform(resize=80, crop=(120, 64), interpolation="bicubic"),
        ImageTransform(resize=80, interpolation="nearest"),
    ],
)
@pytest.mark.parametrize("original", IMAGES)
def test_resizing_on_a_gpu_gives_the_cpus_levels(transform: ImageTransform, original: Image.Image) -> None:
    image = decode_image(Payload(encoded(original)))
    ours = transform.geometry_on_gpu(image[None])[0]
    wanted = transform.geometry(image)
    assert ours.shape == wanted.shape
    assert (ours.int() - wanted.int()).abs().max() <= 1


# The tests below need a GPU.


@needs_gpu
@torch.inference_mode()
def test_nvjpeg_decodes_as_the_cpu_does() -> None:
    files = [jpeg(image) for image in IMAGES] * 3
    device = torch.device("cuda:0")
    decode = NvJpeg(device)
    for original in IMAGES:
        file = jpeg(original, subsampling=2)
        image = decode([file] * 3, original.height, original.width)
        assert image.device == device
        apart = (image.cpu().int() - decode_image(Payload(file)).int()).abs()
        assert apart.float().mean() < 1
    sized = [JpegFile(file, (image.height, image.width)) for file, image in zip(files, IMAGES * 3, strict=True)]
    batch = together(device).batch(sized).cpu()
    wanted = torch.stack([TRANSFORM.geometry(decode_image(Payload(file))) for file in files])
    assert (batch.int() - wanted.int()).abs().float().mean() < 1


@needs_gpu
@torch.inference_mode()
def test_on_a_gpu_a_file_broken_inside_fails_alone() -> None:
    check_that_it_fails_alone(together(torch.device("cuda:0")))


@needs_gpu
@torch.inference_mode()
@pytest.mark.parametrize("name", [name for name in ODD if "cut off" not in name])
def test_on_a_gpu_a_mixed_batch_keeps_its_order(name: str) -> None:
    images = together(torch.device("cuda:0"))
    files = [WHOLE, ODD[name], jpeg(IMAGES[1]), WHOLE]
    for output, file in zip(predicted(images, files), files, strict=True):
        assert isinstance(output, Tensor)
        assert (output.int() - TRANSFORM.geometry(decode_image(Payload(file))).int()).abs().float().mean() < 1
