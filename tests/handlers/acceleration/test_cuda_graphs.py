"""Graphs that cannot be made, on any machine: what is left of the attempt, and that the model still runs."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from handlers.acceleration.cuda_graphs import attempted


class Graph:
    """Stands for what an attempt has made so far."""


class Network(nn.Module):
    """Notes whether a graph was still there when it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.graphs: list[weakref.ref[Graph]] = []
        self.runs: list[bool] = []

    def forward(self, inputs: Tensor) -> tuple[Tensor]:
        self.runs.append(any(graph() for graph in self.graphs))
        return (inputs,)

    def new(self) -> Graph:
        graph = Graph()
        self.graphs.append(weakref.ref(graph))
        return graph


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the device, which there is none of."""
    found: list[str] = []

    @contextmanager
    def device(place: Any) -> Iterator[None]:
        yield

    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda place: "the worker's")
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: found.append(f"stream {stream}"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: found.append("empty the cache"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda place: found.append("wait"))
    return found


def test_a_graph_that_is_as_the_model_is_taken(calls: list[str]) -> None:
    network = Network()
    graph = network.new()
    assert attempted(lambda: (graph, ""), network, torch.zeros(1, 2)) is graph
    assert not calls
    assert not network.runs


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, ValueError, None])
def test_what_a_failed_attempt_held_is_free_before_the_model_runs_without(
    calls: list[str], caplog: pytest.LogCaptureFixture, kind: type[Exception] | None
) -> None:
    network = Network()

    def make() -> tuple[Graph, str]:
        graph = network.new()
        if kind is not None:
            raise kind("it fails\nfor more than one reason")
        return graph, "it differs"

    assert attempted(make, network, torch.zeros(1, 2)) is None
    assert network.runs == [False]
    assert calls == (["stream the worker's"] if kind else []) + ["empty the cache", "wait"]
    reason = "it fails" if kind else "it differs"
    assert caplog.messages == [f"the model runs without CUDA graphs of (2,): {reason}"]


def test_a_device_that_is_lost_is_no_question_of_graphs(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(place: Any) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    def make() -> tuple[Graph, str]:
        raise RuntimeError("capture failed")

    monkeypatch.setattr(torch.cuda, "synchronize", lost)
    with pytest.raises(RuntimeError, match="device-side assert"):
        attempted(make, Network(), torch.zeros(1, 2))
