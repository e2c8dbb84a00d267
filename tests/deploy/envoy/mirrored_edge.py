"""An edge whose settings a test changes, in front of mirrors."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from deploy.edge import traffic
from deploy.edge.traffic import Split, Traffic
from tests.deploy.envoy.envoy_process import EnvoyProcess
from tests.deploy.envoy.mirrors import mirrors

SOON = 5.0  # seconds in which Envoy has read a file, on a machine that is busy
KEYS = {"default": "a" * 32, "admin": "b" * 32}


class Edge(EnvoyProcess):
    """An edge whose settings a test changes."""

    def __init__(self, folder: Path, rest: int, rpc: int) -> None:
        super().__init__(folder, rest, rpc, callers(KEYS), KEYS["default"])

    def ask(self, path: str = "/predictions/model", **headers: str) -> requests.Response:
        return self.session.post(f"{self.address}{path}", data=b"x", headers=headers, timeout=20)

    def versions(self, requests: int, **headers: str) -> Counter[str]:
        """How many calls each version has answered; of a server, what its path says."""
        answers = [self.ask(**headers) for _ in range(requests)]
        for answer in answers:
            assert answer.json()["path"].rpartition("/")[2] == answer.headers["model-version"]
        return Counter(answer.headers["model-version"] for answer in answers)

    def split(self, **versions: Any) -> None:
        """Divide the calls of "model" and wait until the edge does so: a model of this name alone says when."""
        sentinel = f"sentinel-{time.monotonic_ns()}"
        split = {"model": Split(**versions), sentinel: Split(versions={"9": 100})}
        traffic.write(self.settings / traffic.NAME, Traffic(models=split))
        assert self.watched.refresh() == "the edge has new settings: requests.json"
        self.until(lambda: self.ask(f"/predictions/{sentinel}").headers.get("model-version") == "9")

    @staticmethod
    def until(true: Callable[[], bool], seconds: float = SOON) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end
            time.sleep(0.05)


def callers(keys: dict[str, str], **more: Any) -> str:
    rate = {"requests_per_second": 5000, "burst": 5000}
    each = {name: {"key": key, "admin": name == "admin", **rate} for name, key in keys.items()}
    return yaml.safe_dump({"clients": each, **more})


@contextmanager
def mirrored(folder: Path) -> Iterator[Edge]:
    """An Edge in front of mirrors of its own."""
    with mirrors() as ports:
        edge = Edge(folder, *ports)
        try:
            yield edge
        finally:
            edge.stop()
