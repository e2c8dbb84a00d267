"""A worker of a model that can be brought into trouble, and what healthy inputs of it are answered."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from archiver import archive
from archiver.package import resolve
from handlers.networks.actor_critic import Discrete
from tests.tiny_archives import PROJECT
from tests.zygote.front_end import FrontEnd
from train.core.artifact import Artifact
from zygote.libraries import libraries
from zygote.process import Zygote

REQUEST_S, RESPONSE_S = 1.5, 24
GOOD: list[list[float]] = [[0.1, 0.2, 0.3, 0.4], [0.5, 0.2, 0.3, 0.4], [0.9, 0.2, 0.3, 0.4]]


def trouble(what: int) -> list[float]:
    return [0, float(what), 0, 0]


@pytest.fixture(scope="package")
def mar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that can be brought into trouble; it loads in milliseconds."""
    root = tmp_path_factory.mktemp("trouble")
    sample = root / "observation.json"
    sample.write_text('{"data": [0.1, 0.2, 0.3, 0.4]}')
    torch.manual_seed(0)
    Artifact(
        name="trouble",
        task="policy",
        format="safetensors",
        labels=["left", "right"],
        architecture={"factory": "handlers.networks.actor_critic.Discrete", "arguments": {"size": 4, "actions": 2}},
        preprocessing={
            "observation": {"shape": [4], "low": None, "high": None},
            "action": {"kind": "discrete", "count": 2},
        },
    ).write(root / "artifact", Discrete(4, 2).state_dict(), sample)
    shutil.copy(Path(__file__).with_name("trouble.py"), root)
    spec = {
        "artifact": "artifact",
        "handler": "trouble.Trouble",
        "code": ["trouble.py"],
        "backend": "torch",
        "batch": {"size": 4},
        "timeouts": {"request_s": REQUEST_S, "response_s": RESPONSE_S},
    }
    (root / "trouble.yaml").write_text(yaml.safe_dump(spec))
    archive.build(resolve(root / "trouble.yaml", root), PROJECT / "handlers", root)
    return root / "trouble.mar"


@pytest.fixture(scope="package")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    folder = tmp_path_factory.mktemp("warm")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with (folder / "log").open("wb") as log:
        started = Zygote(folder / "socket", libraries(), environment, log=log)
    yield started
    started.stop()


@pytest.fixture
def front_end(zygote: Zygote, mar: Path, tmp_path: Path) -> Iterator[FrontEnd]:
    with FrontEnd(zygote, mar, tmp_path) as started:
        yield started


@pytest.fixture(scope="package")
def alone(zygote: Zygote, mar: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The healthy observations' answers, each asked alone."""
    with FrontEnd(zygote, mar, tmp_path_factory.mktemp("alone")) as worker:
        answers = [worker.ask({"data": row}) for row in GOOD]
    assert [status for [(status, _)] in answers] == [200] * 3
    return [body for [(_, body)] in answers]


def judged(alone: Sequence[Any], answers: Sequence[tuple[int, Any]], positions: Sequence[int]) -> None:
    """Compare the answers at these positions with those that healthy observations got alone, in order."""
    for position, expected in zip(positions, alone, strict=True):
        status, body = answers[position]
        assert status == 200, body
        assert body["action"] == expected["action"]
        assert body["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-6)
