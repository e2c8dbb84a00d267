"""Archives of every task, built by the archiver once a session, on demand; and how tests share the machine.

`./scripts/test` runs three parts at the same time (pytest-xdist), then what has to be alone. The tests of a file stay
together, for their fixtures, and so do the tests of a folder that starts a server.
"""

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import torch
from filelock import FileLock
from xdist.scheduler import LoadScopeScheduling

from tests import tiny_archives

# Folders whose files share one server.
ONE_SERVER = ("chaos", "containers", "demo", "deploy/edge", "deploy/versions", "e2e", "monitoring")
# Roughly, of a test with such a mark.
SECONDS = {"slow": 10.0, "e2e": 2.0}
if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the other parts have the other cores


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--retrain", action="store_true", help="also train every demo model in full, minutes each")


def together(nodeid: str) -> str:
    """The group of tests that one part runs: a file, or a folder whose files share a server."""
    path = PurePosixPath(nodeid.partition("::")[0])
    return next((folder for folder in ONE_SERVER if path.is_relative_to(f"tests/{folder}")), str(path))


class Parts(LoadScopeScheduling):
    """Hands out what stays together, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Parts:
    config.option.loadscopereorder = False
    return Parts(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Long tests go first, so that the parts end at about the same time.
    seconds: dict[str, float] = defaultdict(float)
    for item in items:
        seconds[together(item.nodeid)] += next(
            (SECONDS[name] for name in SECONDS if item.get_closest_marker(name)), 0.2
        )
    items.sort(key=lambda item: -seconds[together(item.nodeid)])
    if not config.getoption("--retrain"):
        left_out = [item for item in items if item.get_closest_marker("retrain")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def tiny_archive(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Name of a tiny model → its .mar, in one store for the session, which both parts of the suite share."""
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
