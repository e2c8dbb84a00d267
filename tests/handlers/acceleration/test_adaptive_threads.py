"""A graph that uses all cores while no other worker computes."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from handlers.acceleration.adaptive_threads import AdaptiveThreads, with_adaptive_threads
from handlers.acceleration.onnx_runtime import OnnxGraph, export

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


def noting(graph: OnnxGraph | AdaptiveThreads) -> tuple[AdaptiveThreads, list[str]]:
    """The graph, and which of its forms ran, as they run."""
    assert isinstance(graph, AdaptiveThreads)
    ran: list[str] = []

    def noted(name: str, form: OnnxGraph) -> OnnxGraph:
        class Noted(OnnxGraph):
            def __init__(self) -> None:
                self.session = form.session

            def __call__(self, inputs: Tensor) -> tuple[Tensor, ...]:
                ran.append(name)
                return super().__call__(inputs)

        return Noted()

    graph.single, graph.multi = noted("single", graph.single), noted("multi", graph.multi)
    return graph, ran


def test_it_uses_all_cores_only_while_others_are_idle(heavy: Path) -> None:
    idle = False
    graph, ran = noting(with_adaptive_threads(heavy, 1, 2, lambda: idle, EXAMPLE))
    (first,) = graph(EXAMPLE)
    idle = True
    (second,) = graph(EXAMPLE)
    assert ran == ["single", "multi"]
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)
    threads = [form.session.get_session_options().intra_op_num_threads for form in (graph.single, graph.multi)]
    assert threads == [1, 2]


def test_what_takes_little_of_the_examples_time_stays_on_one_core(tmp_path: Path) -> None:
    """A short text does not wake other threads because the longest one is worth it."""
    network = nn.Sequential(*[nn.Conv1d(256, 256, 9, padding=4) for _ in range(4)])
    long = torch.rand(1, 256, 512, generator=torch.Generator().manual_seed(0))
    export(Tupled(network), long, (0, 2), tmp_path / "graph.onnx")
    graph, ran = noting(with_adaptive_threads(tmp_path / "graph.onnx", 1, 2, lambda: True, long))
    for length in (1, 512):
        graph(long[..., :length])
    assert ran == ["single", "multi"]
    assert graph.min_elements < long.numel()


def test_a_small_model_a_single_core_and_a_worker_of_all_cores_stay_as_they_are(heavy: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.onnx"
    export(Tupled(nn.Flatten()), EXAMPLE, (0,), small)
    for path, threads, cores in ((small, 1, 2), (heavy, 1, 1), (heavy, 2, 2), (heavy, 0, 2)):
        assert isinstance(with_adaptive_threads(path, threads, cores, lambda: True, EXAMPLE), OnnxGraph)
