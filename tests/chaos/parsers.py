"""Our parsers as functions of bytes: each lets nothing out but the errors that it documents."""

from __future__ import annotations

import io
import json
import socket
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from archiver.errors import SpecError, VerificationError
from archiver.inspection import inspect
from archiver.mar import Mar
from archiver.package import resolve
from archiver.store import entry
from deploy.archive import Archive
from deploy.errors import DeployError
from handlers.audio.decoding import decode_audio
from handlers.errors import RequestError
from handlers.protocol.limits import Limits
from handlers.protocol.payload import InputType, Payload
from handlers.protocol.request import parse
from handlers.torchserve.frame_reader import FrameReader
from handlers.torchserve.progress import Progress
from handlers.vision.decoding import decode_image
from tests.chaos.inputs import json_bodies, media
from tests.chaos.inputs.mutations import mutated

Draw = Callable[[st.SearchStrategy[Any]], Any]
RATE = 16_000
LIMITS = Limits(max_bytes=16 << 20, max_instances=64, max_values=1_000_000)
SPEC = b"""\
version: "1.0"
task: image-classification
artifact: tiny
labels: [cat, dog]
preprocessing: {resize: [96, 96]}
workers: 1
batch: {size: 4, delay_ms: 50}
timeouts: {response_s: 30}
limits: {max_bytes: 1000000}
options: {top_k: 2}
code: [x.py]
"""
YAML_TEXTS = (
    *("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]", "&a [*a]", "x: !!python/object:os.system {}", "\t"),
    *("- " * 2000 + "x", "{" * 2000, "a: 1\na: 2", "? [x]\n: 1", "<<: {a: 1}", "a: 0x" + "f" * 400, "a: 2026-99-99"),
    *("a: " + "9" * 5000, "a: !!timestamp x", "a: .inf", "a: 1:1:1:1", "!!set {a}", "\x00", "\ufeffa: 1", "a: !!int x"),
    "\n".join([f"a0: &a0 [{'x, ' * 9}x]", *(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9}*a{i - 1}]" for i in range(1, 9))]),
)


@dataclass(frozen=True)
class Parser:
    """read: takes one input; the errors it documents are caught in it. inputs: hostile ones. samples: good ones."""

    read: Callable[[bytes], None]
    inputs: Callable[[], st.SearchStrategy[bytes]]
    samples: Callable[[], list[bytes]]


def read_request(data: bytes) -> None:
    """data: the task's kind of input, then a row of JSON whose values are bodies, or else one body of JSON."""
    kind = list(InputType)[data[0] % 3] if data else InputType.TENSOR
    with suppress(RequestError):
        parse({"body": data[1:]}, {"content-type": "application/json"}, kind, LIMITS)
    with suppress(RequestError):
        parse({"data": data[1:]}, {"data": {"content-type": data[1:40].decode("latin-1")}}, kind, LIMITS)


def requests() -> st.SearchStrategy[bytes]:
    good: list[Any] = ["text", [0.1, 0.2], "QUJD"]
    return st.tuples(st.binary(min_size=1, max_size=1), json_bodies.texts(good)).map(b"".join)


def read_frame(data: bytes) -> None:
    """As TorchServe's bytes come: the worker ends when it is gone, and a command it does not know is a ValueError."""
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(5)
        there.sendall(data[:100_000])
        there.shutdown(socket.SHUT_WR)
        with suppress(SystemExit, ValueError):
            FrameReader(Progress()).message(here)


def frame(name: bytes = b"body", value: bytes = b'{"data": [1]}') -> bytes:
    def field(text: bytes) -> bytes:
        return len(text).to_bytes(4, "big") + text

    end = b"\xff" * 4
    request = field(b"id") + field(b"content-type") + field(b"application/json") + end
    return b"I" + 2 * (request + field(name) + field(b"") + field(value) + end) + end


def read_image(data: bytes) -> None:
    with suppress(RequestError):
        decode_image(Payload(data))


def images() -> st.SearchStrategy[bytes]:
    return mutated(media.image_samples()) | media.images().map(lambda made: made[1])


def read_recording(data: bytes) -> None:
    with suppress(RequestError):
        decode_audio(Payload(data), RATE)


def recordings() -> st.SearchStrategy[bytes]:
    return mutated(media.audio_samples()) | media.drawn_recording().map(lambda made: made[1])


def read_spec(data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="chaos-spec-") as folder:
        path = Path(folder) / "model.yaml"
        path.write_bytes(data)
        with suppress(SpecError):
            resolve(path, Path(folder))


def specs() -> st.SearchStrategy[bytes]:
    texts = st.sampled_from(YAML_TEXTS) | json_bodies.values(20).map(json.dumps) | json_bodies.nested()
    return mutated([SPEC]) | texts.map(lambda text: text.encode("utf-8", "surrogatepass"))


def read_archive(data: bytes) -> None:
    """By each that reads archives: `list`, `verify`, and the server."""
    with tempfile.TemporaryDirectory(prefix="chaos-archive-") as folder:
        path = Path(folder) / "model.mar"
        path.write_bytes(data)
        entry(path)
        with suppress(VerificationError), Mar(path) as mar:
            inspect(mar)
        with suppress(DeployError):
            found = Archive.read(path)
            str(found.settings)
            found.sample(Path(folder) / "samples")


def archive(members: Mapping[str, bytes], compressed: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def members() -> dict[str, bytes]:
    """Of an archive of ours, as far as readers look."""
    model = {"modelName": "tiny", "modelVersion": "1.0", "handler": "entry.py", "configFile": "model-config.yaml"}
    manifest = {"createdOn": "", "runtime": "python", "model": model, "archiverVersion": "0.12.0"}
    card = {"name": "tiny", "version": "1.0", "task": "policy", "labels": [], "metrics": {}, "batch": {}, "workers": 1}
    artifact = {"schema": 1, "name": "tiny", "task": "policy", "weights": "w.pt2", "sample": "sample.json"}
    return {
        "MAR-INF/MANIFEST.json": json.dumps(manifest).encode(),
        "card.json": json.dumps(card).encode(),
        "artifact/artifact.json": json.dumps(artifact).encode(),
        "artifact/sample.json": b"[1]",
        "model-config.yaml": b"minWorkers: 1\nhandler: {class: a.B}\n",
        "entry.py": b"",
    }


@st.composite
def archives(draw: Draw) -> bytes:
    """One member is odd, or the zip is broken."""
    contents = members()
    if draw(st.booleans()):
        return bytes(draw(mutated([archive(contents), archive(contents, compressed=True)])))
    name = draw(st.sampled_from(sorted(contents)))
    odd = st.binary(max_size=100) | json_bodies.values(20).map(json_bodies.as_text).map(str.encode)
    odd |= json_bodies.nested().map(str.encode) | st.sampled_from(YAML_TEXTS).map(str.encode)
    contents[name] = draw(odd | st.just(bytes(64 << 20)) | mutated([contents[name]]))
    names = st.sampled_from(("../x", "/x", "a\\b", "c:/x", "x" * 300, "\u202e", "entry.py/x"))
    return archive({**contents, **draw(st.dictionaries(names, st.just(b"x"), max_size=2))}, draw(st.booleans()))


PARSERS: dict[str, Parser] = {
    "requests": Parser(read_request, requests, lambda: [b"\x02[1, 2]", b'\x00{"instances": ["QUJD"]}']),
    "frames": Parser(read_frame, lambda: mutated([frame()]), lambda: [frame()]),
    "images": Parser(read_image, images, media.image_samples),
    "recordings": Parser(read_recording, recordings, media.audio_samples),
    "specs": Parser(read_spec, specs, lambda: [SPEC, *(text.encode() for text in YAML_TEXTS[:3])]),
    "archives": Parser(read_archive, archives, lambda: [archive(members())]),
}
