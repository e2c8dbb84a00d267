"""How tests share the machine: `./scripts/test` runs three parts at once (pytest-xdist), then what has to be alone.

The tests of a file stay together, for their fixtures, and so do the tests of a folder that starts a server. What takes
longest goes first, so that the parts end at about the same time.
"""

import ctypes
import gc
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

# Folders whose files share one server.
ONE_SERVER = ("chaos", "containers", "demo", "deploy/edge", "deploy/tracing", "deploy/versions", "e2e", "monitoring")
# Group → seconds, from a whole run: `./scripts/test -n 3 --record-seconds`.
RECORD = Path(__file__).parent / "seconds.json"
RECORDED = 5.0  # shorter groups fill the gaps in any order
# Of a test in a group that has no record, by its marks.
SECONDS = {"slow": 10.0, "e2e": 2.0}


def together(nodeid: str) -> str:
    """The group of tests that one part runs: a file, or a folder whose files share a server."""
    path = PurePosixPath(nodeid.partition("::")[0])
    folders = (f"tests/{folder}" for folder in ONE_SERVER)
    return next((folder for folder in folders if path.is_relative_to(folder)), str(path))


def longest_first(items: list[pytest.Item]) -> None:
    recorded: dict[str, float] = json.loads(RECORD.read_text(encoding="utf-8"))
    estimated: dict[str, float] = defaultdict(float)
    for item in items:
        marked = (SECONDS[name] for name in SECONDS if item.get_closest_marker(name))
        estimated[together(item.nodeid)] += next(marked, 0.2)
    items.sort(key=lambda item: -recorded.get(together(item.nodeid), estimated[together(item.nodeid)]))


def record(reports: Iterable[pytest.TestReport]) -> None:
    """Writes how long each group took."""
    seconds: dict[str, float] = defaultdict(float)
    for report in reports:
        seconds[together(report.nodeid)] += report.duration
    longest = sorted(((taken, group) for group, taken in seconds.items() if taken >= RECORDED), reverse=True)
    RECORD.write_text(json.dumps({group: round(taken) for taken, group in longest}, indent=2) + "\n", encoding="utf-8")


def give_back_memory() -> None:
    """After a group: otherwise a part grows to six gigabytes."""
    import torch  # not in the process that hands out the tests

    # TorchScript keeps every class that it made, and so the constants of a frozen module, which are its weights.
    torch._C._jit_clear_class_registry()
    torch.jit._state._clear_class_state()
    torch.jit._recursive.concrete_type_store = torch.jit._recursive.ConcreteTypeStore()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # the C library keeps it for later


class Parts(LoadScopeScheduling):
    """Hands out what stays together, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid)

    def remove_node(self, node: WorkerController) -> str | None:
        """Leaves out groups that the part had finished before it died: given an empty one, another waits forever."""
        groups = self.assigned_work[node]
        self.assigned_work[node] = {name: tests for name, tests in groups.items() if not all(tests.values())}
        return super().remove_node(node)
