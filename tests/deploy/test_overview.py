"""What `status` computes and prints, of made-up looks; tests/e2e looks at a real server."""

import dataclasses
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from deploy.configuration import PROJECT
from deploy.optional_value import filled
from deploy.overview.counters import Counters, of_edge
from deploy.overview.look import EdgeLook, Look, ModelLook
from deploy.overview.rates import Interval, rates
from deploy.overview.table import duration, overview
from deploy.supervision.record import Restart


def seen(at: float, *models: ModelLook, edge: EdgeLook | None = None) -> Look:
    return Look(at, "http://127.0.0.1:8080", "127.0.0.1:7070", 7, 61.0, 2**28, models, edge)


def version(number: str, default: bool, counters: Counters, up: int = 2, pending: int = 0) -> ModelLook:
    return ModelLook("a-model-with-a-long-name", number, default, up, 2, pending, 100, 300 * 2**20, counters)


def printed(interval: Interval, width: int = 160) -> list[str]:
    written = io.StringIO()
    Console(width=width, file=written).print(overview(interval))
    return [line.rstrip() for line in written.getvalue().splitlines()]


def test_a_table_of_two_versions_and_an_edge() -> None:
    edges = (EdgeLook("https://localhost:8443", 9, Counters(requests)) for requests in (0.0, 40.0))
    before = seen(10.0, version("1.0", True, Counters(100, 10, 0, 50, 1.0)), edge=next(edges))
    after = seen(
        12.0,
        version("1.0", True, Counters(140, 14, 1, 70, 1.1), up=1, pending=5),
        version("2.0", False, Counters(2, 0, 0, 2, 0.02)),
        edge=next(edges),
    )
    headline, columns, first, second, edge, supervisor, legend = printed(Interval(before, after))
    assert headline == "https://localhost:8443, up 1 min 1 s, pid 7, 256 MiB"
    assert columns.split() == [
        "model",
        "version",
        "workers",
        "queue",
        "req/s",
        "4xx/s",
        "5xx/s",
        "batch",
        "ms",
        "memory",
    ]
    name = "a-model-with-a-long-name"
    assert first.split() == [name, "1.0", "*", "1/2", "5/100", "20.0", "2.0", "0.5", "5.0", "300", "MiB"]
    assert second.split() == [name, "2.0", "2/2", "0/100", "1.0", "0.0", "0.0", "10.0", "300", "MiB"]
    assert edge == "edge: pid 9, 20.0 req/s, 0.0 4xx/s, 0.0 5xx/s"
    assert supervisor == "no supervisor: a server that ends is not started again"
    assert "rates over 2.0 s" in legend
    silent = seen(13.0, edge=EdgeLook("https://localhost:8443", 9, None))
    assert "edge: pid 9 does not answer" in printed(Interval(after, silent))


def test_restarts_are_counted_and_explained() -> None:
    look = seen(1.0)
    well = dataclasses.replace(look, supervisor=8)
    assert "supervisor: pid 8, no restart" in printed(Interval(look, well))
    restarts = (Restart(1.6e9, "exit status 1", "exception"), Restart(1.7e9, "it was killed (SIGKILL)", "signal"))
    interval = Interval(look, dataclasses.replace(look, supervisor=8, restarted=7, restarts=restarts))
    [line] = [line for line in printed(interval) if line.startswith("supervisor")]
    assert re.fullmatch(
        r"supervisor: pid 8, 7 restarts, the last 2023-11-1\d [\d:]+: signal: it was killed \(SIGKILL\)", line
    )
    assert interval.to_dict()["supervisor"] == {"pid": 8, "restarts": 7, "last": [vars(each) for each in restarts]}


def test_nothing_is_cut_off_on_a_narrow_terminal() -> None:
    look = version("1.0", True, Counters())
    assert not any("…" in line for line in printed(Interval(seen(1.0, look), seen(2.0, look)), width=80))


def test_an_option_that_may_stand_alone() -> None:
    defaults = {"--watch": "2"}
    assert filled(["--watch"], defaults) == ["--watch", "2"]
    assert filled(["--watch", "--json"], defaults) == ["--watch", "2", "--json"]
    assert filled(["--json", "--watch", "5"], defaults) == ["--json", "--watch", "5"]
    assert filled(["--watch=5"], defaults) == ["--watch=5"]


def status(run: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy", "status", *arguments]
    environment = {**os.environ, "BUNDLE_RUN": str(run)}
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60)


def test_without_a_server(tmp_path: Path) -> None:
    for arguments in ([], ["--json"], ["--watch"]):
        done = status(tmp_path, *arguments)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr == "no server is running; `./bundle serve` starts one\n"
    assert status(tmp_path, "--json", "--watch").returncode == 2


def test_counters_that_start_again() -> None:
    before, after = Counters(100, 10, 1, 50, 5.0), Counters(4, 1, 0, 2, 0.5)
    assert after.since(before) == after
    assert rates(Counters(), after, 2.0).requests == 2.0
    assert rates(Counters(), after, 2.0).mean_ms == 250.0


def test_envoys_counters() -> None:
    """As Envoy writes them; those of the port for statistics do not count."""
    text = """# TYPE envoy_http_downstream_rq_xx counter
envoy_http_downstream_rq_xx{envoy_response_code_class="2",envoy_http_conn_manager_prefix="edge"} 90
envoy_http_downstream_rq_xx{envoy_response_code_class="4",envoy_http_conn_manager_prefix="edge"} 7
envoy_http_downstream_rq_xx{envoy_response_code_class="5",envoy_http_conn_manager_prefix="edge"} 3
envoy_http_downstream_rq_xx{envoy_response_code_class="2",envoy_http_conn_manager_prefix="stats"} 1000
# TYPE envoy_http_downstream_rq_time histogram
envoy_http_downstream_rq_time_bucket{envoy_http_conn_manager_prefix="edge",le="+Inf"} 100
envoy_http_downstream_rq_time_sum{envoy_http_conn_manager_prefix="edge"} 2500
envoy_http_downstream_rq_time_count{envoy_http_conn_manager_prefix="edge"} 100
"""
    found = of_edge(text)
    assert found == Counters(100, 7, 3, 100, 2.5)
    assert found.mean_ms == 25.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(9.9, "9 s"), (0, "0 s"), (428, "7 min 8 s"), (3600, "1 h 0 min"), (18360, "5 h 6 min"), (273600, "3 d 4 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
