"""Archives of every task, built by the archiver once a session, on demand; and options of the test run."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from tests.suite.parts import Parts, give_back_memory, longest_first, record, together

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before a test's module imports onnxruntime
# On a machine that others use too, an example that takes long says nothing.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")
if "PYTEST_XDIST_WORKER" in os.environ:
    import torch  # which the process that hands out the tests does without: seconds, and half a gigabyte

    torch.set_num_threads(1)  # the other parts have the other cores


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--retrain", action="store_true", help="also train every demo model in full, minutes each")
    parser.addoption("--record-seconds", action="store_true", help="of all tests: write how long each group took")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Parts:
    config.option.loadscopereorder = False
    return Parts(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    longest_first(items)
    if not config.getoption("--retrain"):
        left_out = [item for item in items if item.get_closest_marker("retrain")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if nextitem is None or together(nextitem.nodeid) != together(item.nodeid):
        give_back_memory()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("--record-seconds"):
        record(report for reports in terminalreporter.stats.values() for report in reports if hasattr(report, "when"))


@pytest.fixture(scope="session")
def tiny_archive(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Name of a tiny model → its .mar, in one store for the session, which both parts of the suite share."""
    from tests import tiny_archives

    session = tmp_path_factory.getbasetemp()
    root = (session.parent if "PYTEST_XDIST_WORKER" in os.environ else session) / "tiny"
    root.mkdir(exist_ok=True)

    def build(name: str) -> Path:
        path = root / "store" / f"{name}.mar"
        with FileLock(root / f"{name}.lock"):
            if not path.is_file():
                tiny_archives.build(name, root)
        return path

    return build
