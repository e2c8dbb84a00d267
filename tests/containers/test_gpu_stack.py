"""The demands of the stack on a host with GPUs, as Compose itself renders them."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parent.parent.parent
COMMAND = shutil.which("docker-compose")
DOCKERFILE = (PROJECT / "docker" / "Dockerfile").read_text()


def rendered(**variables: str) -> dict[str, Any]:
    if COMMAND is None:
        pytest.skip("docker-compose is not installed")
    files = ("-f", "compose.yaml", "-f", "compose.gpu.yaml")
    environment = {name: value for name, value in os.environ.items() if name != "SERVER_MEMORY"}
    done = subprocess.run(
        [COMMAND, *files, "config"],
        cwd=PROJECT,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = yaml.safe_load(done.stdout)["services"]["server"]
    return found


def test_the_server_gets_every_gpu_with_all_that_it_needs() -> None:
    """Without video nvJPEG does not reach the hardware decoder, without utility there is no NVML."""
    [device] = rendered()["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["count"] in (-1, "all")
    assert set(device["capabilities"]) == {"gpu", "compute", "utility", "video"}


def test_its_memory_is_for_workers_on_gpus_or_as_one_says() -> None:
    for variables, size in (({}, 48), ({"SERVER_MEMORY": "96g"}, 96)):
        assert str(rendered(**variables)["mem_limit"]) in (f"{size}g", str(size << 30))  # by Compose's version


def test_nothing_else_of_the_server_changes() -> None:
    server = rendered()
    assert server["read_only"] is True
    assert server["cap_drop"] == ["ALL"]
    assert server["networks"].keys() == {"serving"}


def test_the_image_asks_for_the_same_libraries_where_compose_does_not_start_it() -> None:
    [capabilities] = re.findall(r"NVIDIA_DRIVER_CAPABILITIES=(\S+)", DOCKERFILE)
    assert set(capabilities.split(",")) == {"compute", "utility", "video"}
