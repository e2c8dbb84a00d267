"""Replaces the tensors of an ONNX graph that are also in the archive's weights by references to them.

References are ONNX external data (https://github.com/onnx/onnx/blob/main/docs/ExternalData.md): a file next to the
graph, an offset and a length. Tensors are found by their bytes, so neither names nor the file's format matter, as long
as the file stores them unchanged.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handlers.formats import safetensors, zip_file

# Smaller tensors stay inside: they include shapes and axes, which ONNX Runtime reads before it opens other files.
MIN_BYTES = 1024
ZIPS = (".pt", ".pt2")
LOCAL_HEADER = struct.Struct("<26xHH")  # of a zip member: lengths of its name and its extra field


@dataclass(frozen=True)
class Place:
    """The location of a tensor's bytes. file: path relative to the graph's folder."""

    file: str
    offset: int
    length: int


def without_shared(graph: Path, files: Mapping[str, Path]) -> bytes:
    """The graph with references to tensors in `files`, which are named by paths relative to the graph's folder.

    For a float32 tensor stored as float16 or bfloat16, a cast is added, which ONNX Runtime runs once, on loading.
    """
    import onnx

    model = onnx.load(graph)
    places = places_of(files)
    widened = []
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) < MIN_BYTES:
            continue
        place = places.get(digest(tensor.raw_data))
        if place is None and tensor.data_type == onnx.TensorProto.FLOAT:
            found = narrowed(np.frombuffer(tensor.raw_data, np.uint32), places)
            if found is not None:
                name, place = tensor.name, found[1]
                tensor.name, tensor.data_type = f"{name}.stored", getattr(onnx.TensorProto, found[0])
                widened.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
        if place is not None:
            refer(tensor, place)
    nodes = [*widened, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def refer(tensor: Any, place: Place) -> None:
    """Replace the bytes of an onnx.TensorProto by a reference."""
    tensor.ClearField("raw_data")
    tensor.data_location = tensor.EXTERNAL
    for key, value in (("location", place.file), ("offset", place.offset), ("length", place.length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)


def narrowed(bits: NDArray[np.uint32], places: Mapping[bytes, Place]) -> tuple[str, Place] | None:
    """A narrower dtype that stores these float32 bits without loss, and the place of the tensor in that dtype."""
    numbers = bits.view(np.float32)
    with np.errstate(over="ignore"):
        halves = numbers.astype(np.float16)
    exact = {"FLOAT16": halves} if np.array_equal(halves.astype(np.float32), numbers) else {}
    if not (bits & 0xFFFF).any():
        exact["BFLOAT16"] = (bits >> 16).astype(np.uint16)
    for type_, values in exact.items():
        place = places.get(digest(values.tobytes()))
        if place is not None:
            return type_, place
    return None


def places_of(files: Mapping[str, Path]) -> dict[bytes, Place]:
    """Places of all tensors in these files, by the digest of their bytes."""
    found: dict[bytes, Place] = {}
    for name in sorted(files):
        path = files[name]
        spans = list(spans_of(path))
        if not spans:
            continue
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            for begin, end in spans:
                with memoryview(mapped) as view, view[begin:end] as part:
                    found.setdefault(digest(part), Place(name, begin, end - begin))
    return found


def spans_of(path: Path) -> Iterator[tuple[int, int]]:
    """(begin, end) of each tensor that a file stores unchanged; none for other formats."""
    spans: Iterator[tuple[int, int]] = iter(())
    if path.suffix == ".safetensors":
        spans = iter(safetensors.places(path).values())
    elif path.suffix in ZIPS:
        spans = members_of(path)
    return (span for span in spans if span[1] > span[0])


def members_of(path: Path) -> Iterator[tuple[int, int]]:
    """(begin, end) of each uncompressed member of a zip."""
    with zip_file.opened(path) as opened, path.open("rb") as file:
        for entry in opened.infolist():
            if entry.compress_type == zipfile.ZIP_STORED:
                file.seek(entry.header_offset)
                begin = entry.header_offset + 30 + sum(LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size)))
                yield begin, begin + entry.file_size


def digest(content: bytes | memoryview) -> bytes:
    return hashlib.sha256(content).digest()
