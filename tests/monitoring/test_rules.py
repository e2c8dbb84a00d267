"""Prometheus's own tool on the committed configuration, rules and their unit tests; and what it does not check."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.monitoring.binary import binary
from tests.monitoring.prometheus import COMMITTED
from tests.monitoring.rules import ALERTS, PATHS, RECORDS

TESTS = sorted((COMMITTED / "tests").glob("*.yml"))
RUNBOOK = COMMITTED.parents[1] / "docs" / "monitoring.md"


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run([binary("promtool"), *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_configuration() -> None:
    promtool("check", "config", COMMITTED / "prometheus.yml")


def test_rules_are_valid() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *PATHS)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_do_as_their_tests_say(path: Path) -> None:
    promtool("test", "rules", path)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_tested_both_ways(alert: str) -> None:
    """Somewhere it is expected to fire, elsewhere to be silent."""
    expected = [
        bool(query["exp_samples"])
        for path in TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for query in test["promql_expr_test"]
        if query["expr"] == f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
    ]
    assert set(expected) == {True, False}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "description"}
    assert f"### {alert}\n" in RUNBOOK.read_text(encoding="utf-8")


@pytest.mark.parametrize("record", RECORDS)
def test_names_are_level_metric_operations(record: str) -> None:
    assert re.fullmatch(r"[a-z_]+:[a-z0-9_]+:[a-z0-9_]+", record)
