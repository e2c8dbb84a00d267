"""Small real files of every format, made by the libraries that own them."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn


class Net(nn.Module):
    """With a parameter, a buffer and a constant, and sizes that depend on its input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("scale", torch.arange(3.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.scale + torch.tensor([1.0, 2.0, 3.0])


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .pt2 whose batch is dynamic."""
    path = tmp_path_factory.mktemp("program") / "weights.pt2"
    batch = torch.export.Dim("batch", min=1, max=64)
    torch.export.save(torch.export.export(Net().eval(), (torch.zeros(2, 4),), dynamic_shapes=({0: batch},)), path)
    return path


Rewrite = Callable[[Path, dict[str, bytes | None]], Path]


@pytest.fixture
def rewrite(tmp_path: Path) -> Rewrite:
    """(zip, contents by name without the first folder, None to leave out) → the changed zip."""

    def change(path: Path, changes: dict[str, bytes | None]) -> Path:
        target = tmp_path / path.name
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
            root = source.namelist()[0].partition("/")[0]
            content = {name.partition("/")[2]: source.read(name) for name in source.namelist()}
            for name, value in {**content, **changes}.items():
                if value is not None:
                    archive.writestr(f"{root}/{name}", value)
        return target

    return change
