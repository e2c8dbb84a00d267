"""TorchServe's side of a worker's connection, without Java: starts the worker as it does, and sends it batches."""

import os
import socket
import struct
import subprocess
import time
import zipfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import psutil

from zygote.death import MARK
from zygote.process import PYTHON, Zygote
from zygote.shared_file import FOLDER

END = struct.pack("!i", -1)
PATIENCE = 60.0  # seconds


def field(value: bytes) -> bytes:
    return struct.pack("!i", len(value)) + value


class FrontEnd:
    """A worker of an archive. folder: of its own. `said` is what it and its keeper have written."""

    def __init__(self, zygote: Zygote, archive: Path, folder: Path) -> None:
        spec = find_spec("ts")
        assert spec
        assert spec.origin
        home = Path(spec.origin).parent
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder / "model")
        self.folder, self.name = folder, archive.stem
        self.log, self.records = folder / "log", folder / "records"
        self.records.mkdir(exist_ok=True)
        address = folder / "socket"
        command = [PYTHON, home / "model_service_worker.py", "--sock-type", "unix", "--sock-name", f"{address}.9000"]
        metrics = home / "configs" / "metrics.yaml"
        with self.log.open("wb") as log:
            self.process = psutil.Popen(
                [*map(str, command), "--metrics-config", str(metrics)],
                cwd=folder / "model",
                env={
                    **os.environ,
                    **zygote.stand_in,
                    "PYTHONPATH": f"{folder / 'model'}",
                    "TMPDIR": str(folder),
                    FOLDER: str(self.records),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait_for("Torch worker started.")
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(PATIENCE)
        self.connection.connect(f"{address}.9000")
        load = [self.name.encode(), str(folder / "model").encode(), b"entry.py", b""]
        name, path, handler, envelope = map(field, load)
        size, no_gpu = struct.pack("!i", 4), struct.pack("!i", -1)
        self.connection.sendall(b"L" + name + path + size + handler + no_gpu + envelope + b"\1")
        code, _, _ = self.answers()
        assert code == 200, self.said

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def deaths(self) -> list[dict[str, Any]]:
        lines = self.said.splitlines()
        return [orjson.loads(line.removeprefix(MARK)) for line in lines if line.startswith(MARK)]

    @property
    def worker(self) -> int:
        """The process id that TorchServe takes for the worker's."""
        return int([line for line in self.said.splitlines() if line.startswith("[PID]")][-1][5:])

    def wait_for(self, text: str, times: int = 1) -> None:
        end = time.monotonic() + PATIENCE
        while self.said.count(text) < times:
            assert time.monotonic() < end, self.said
            assert self.process.poll() is None, self.said
            time.sleep(0.05)

    def send(
        self, *rows: Any, headers: Mapping[str, str] | None = None, entries: Mapping[str, str] | None = None
    ) -> bytes:
        """The message of a batch of JSON bodies, unsent. entries: beside each body, as of a gRPC call's input map."""
        wire = b"I"
        for number, row in enumerate(rows):
            wire += field(str(number).encode())
            sent = {"content-type": "application/json", **(headers or {})}
            wire += b"".join(field(name.encode()) + field(value.encode()) for name, value in sent.items()) + END
            body = row if isinstance(row, bytes) else orjson.dumps(row)
            parts = {"body": body, **{name: value.encode() for name, value in (entries or {}).items()}}
            for name, value in parts.items():
                wire += field(name.encode()) + field(b"application/octet-stream") + field(value)
            wire += END
        return wire + END

    def ask(self, *rows: Any, **more: Mapping[str, str]) -> list[tuple[int, Any]]:
        """(status, parsed body) of each answer of a batch; more: as `send` takes it."""
        self.connection.sendall(self.send(*rows, **more))
        code, _, answers = self.answers()
        assert code == 200
        return [(status, orjson.loads(body)) for status, body in answers]

    def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.connection.recv(size - len(data))
            if not piece:
                raise ConnectionError(self.said)
            data += piece
        return data

    def integer(self) -> int:
        return int(struct.unpack("!i", self.receive(4))[0])

    def text(self) -> bytes:
        return self.receive(self.integer())

    def answers(self) -> tuple[int, bytes, Sequence[tuple[int, bytes]]]:
        """(code, message, (status, body) by request) of one response of the worker."""
        code, message, found = self.integer(), self.text(), []
        while (length := self.integer()) != -1:
            self.receive(length)
            self.text()
            status = self.integer()
            self.text()
            for _ in range(self.integer()):
                self.text(), self.text()
            found.append((status, self.text()))
        return code, message, found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
