"""A graph that takes the other cores while nobody else does."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from handlers.onnx_graph import OnnxGraph, export
from handlers.spread import Spread, spread

EXAMPLE = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))


class Tupled(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        return (self.network(inputs),)


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("heavy") / "graph.onnx"
    export(Tupled(resnet18(weights=None)), EXAMPLE, (0,), path)
    return path


def noting(graph: OnnxGraph | Spread) -> tuple[Spread, list[str]]:
    """The graph, and which of its forms ran, as they run."""
    assert isinstance(graph, Spread)
    ran: list[str] = []

    def noted(name: str, form: OnnxGraph) -> OnnxGraph:
        class Noted(OnnxGraph):
            def __init__(self) -> None:
                self.session = form.session

            def __call__(self, inputs: Tensor) -> tuple[Tensor, ...]:
                ran.append(name)
                return super().__call__(inputs)

        return Noted()

    graph.narrow, graph.wide = noted("narrow", graph.narrow), noted("wide", graph.wide)
    return graph, ran


def test_it_runs_the_wide_form_only_while_alone(heavy: Path) -> None:
    alone = False
    graph, ran = noting(spread(heavy, 1, 2, lambda: alone, EXAMPLE))
    (first,) = graph(EXAMPLE)
    alone = True
    (second,) = graph(EXAMPLE)
    assert ran == ["narrow", "wide"]
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)
    threads = [form.session.get_session_options().intra_op_num_threads for form in (graph.narrow, graph.wide)]
    assert threads == [1, 2]


def test_what_takes_little_of_the_examples_time_stays_on_one_core(tmp_path: Path) -> None:
    """A short text does not wake other threads because the longest one is worth it."""
    network = nn.Sequential(*[nn.Conv1d(256, 256, 9, padding=4) for _ in range(4)])
    long = torch.rand(1, 256, 512, generator=torch.Generator().manual_seed(0))
    export(Tupled(network), long, (0, 2), tmp_path / "graph.onnx")
    graph, ran = noting(spread(tmp_path / "graph.onnx", 1, 2, lambda: True, long))
    for length in (1, 512):
        graph(long[..., :length])
    assert ran == ["narrow", "wide"]
    assert graph.least < long.numel()


def test_a_small_model_a_single_core_and_a_worker_of_all_cores_stay_as_they_are(heavy: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.onnx"
    export(Tupled(nn.Flatten()), EXAMPLE, (0,), small)
    for path, threads, cores in ((small, 1, 2), (heavy, 1, 1), (heavy, 2, 2), (heavy, 0, 2)):
        assert isinstance(spread(path, threads, cores, lambda: True, EXAMPLE), OnnxGraph)
