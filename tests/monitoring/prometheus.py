"""A real Prometheus with the committed configuration, its targets moved to this machine and its intervals shortened."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
import yaml

from tests.monitoring.binary import binary

COMMITTED = Path(__file__).parents[2] / "docker" / "prometheus"
INTERVAL = "1s"
STARTING = 30.0

Labels = Mapping[str, str]


class Prometheus:
    """folder: for its configuration, data and log. targets: job → host:port."""

    def __init__(self, folder: Path, port: int, targets: Mapping[str, str]) -> None:
        self.folder = folder
        self.targets = targets
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://{self.address}/api/v1"

    def configure(self) -> Path:
        """Write the configuration and rules; what differs from the committed ones is all here."""
        settings = yaml.safe_load((COMMITTED / "prometheus.yml").read_text())
        settings["global"] = {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL}
        for job in settings["scrape_configs"]:
            for kind in ("dns_sd_configs", "static_configs"):
                job.pop(kind, None)
            job["static_configs"] = [{"targets": [self.targets[job["job_name"]]]}]
        (self.folder / "rules").mkdir()
        for path in (COMMITTED / "rules").glob("*.yml"):
            rules = yaml.safe_load(path.read_text())
            for group in rules["groups"]:
                group.pop("interval", None)
            (self.folder / "rules" / path.name).write_text(yaml.safe_dump(rules))
        path = self.folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(settings))
        return path

    def __enter__(self) -> Prometheus:
        options = {
            "config.file": self.configure(),
            "storage.tsdb.path": self.folder / "data",
            "web.listen-address": self.address,
            "log.level": "warn",
        }
        command = [binary("prometheus"), *(f"--{name}={value}" for name, value in options.items())]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            self.wait(self.is_ready, STARTING)
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(20)

    def is_ready(self) -> bool:
        try:
            return requests.get(f"http://{self.address}/-/ready", timeout=5).ok
        except requests.ConnectionError:
            return False

    def wait(self, condition: Callable[[], object], seconds: float) -> bool:
        """Whether it became true within `seconds`; AssertionError when Prometheus ended meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            if condition():
                return True
            time.sleep(0.5)
        return False

    def get(self, path: str, **parameters: str) -> Any:
        answer = requests.get(f"{self.url}/{path}", params=parameters, timeout=10).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[tuple[Labels, float]]:
        """The instant vector that an expression yields now."""
        return [(each["metric"], float(each["value"][1])) for each in self.get("query", query=expression)["result"]]

    def rules(self, kind: str) -> list[dict[str, Any]]:
        """kind: record or alert."""
        return [rule for group in self.get("rules", type=kind)["groups"] for rule in group["rules"]]

    def firing(self) -> set[str]:
        """Names of the alerts that fire."""
        return {labels["alertname"] for labels, _ in self.query('ALERTS{alertstate="firing"}')}
