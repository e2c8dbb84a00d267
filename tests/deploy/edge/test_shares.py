"""Calls that are divided between versions, while the edge runs."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from scipy.stats import binomtest

from client.stubs.inference_pb2 import PredictionsRequest
from client.stubs.inference_pb2_grpc import (
    InferenceAPIsServiceStub,
)
from deploy.edge import certificate, traffic
from deploy.edge.traffic import Split, Traffic
from tests.deploy.envoy.mirrored_edge import KEYS, Edge, mirrored


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    with mirrored(tmp_path) as made:
        yield made


def is_share(count: int, of: int, share: float) -> bool:
    """False once in a million for a share that is right."""
    return binomtest(count, of, share).pvalue > 1e-6


@pytest.mark.e2e
def test_calls_are_divided(edge: Edge) -> None:
    assert "model-version" not in edge.ask().headers
    edge.split(versions={"1.0": 70, "2.0": 25, "3.0": 5})
    found = edge.versions(600)
    assert all(is_share(found[version], 600, share) for version, share in (("1.0", 0.7), ("2.0", 0.25), ("3.0", 0.05)))
    for path in (
        "/v1/models/model:predict",
        "/v2/models/model/infer",
        "/predictions/model?top_k=3",
    ):
        assert edge.ask(path).json()["path"].startswith("/predictions/model/")
    # A call that names a version gets it, and a model that is not divided its default.
    assert edge.ask("/predictions/model/4.0").json()["path"] == "/predictions/model/4.0"
    assert edge.ask("/predictions/models").json()["path"] == "/predictions/models"
    edge.split(versions={"1.0": 0, "2.0": 100})
    assert edge.versions(50) == {"2.0": 50}
    traffic.write(edge.settings / traffic.NAME, Traffic())
    edge.watched.refresh()
    edge.until(lambda: edge.ask().json()["path"] == "/predictions/model")


@pytest.mark.e2e
def test_calls_over_grpc_are_divided(edge: Edge) -> None:
    edge.split(versions={"1.0": 60, "2.0": 40}, sticky="x-user")
    credentials = grpc.ssl_channel_credentials((edge.settings / certificate.CERTIFICATE).read_bytes())
    metadata = (("authorization", f"Bearer {KEYS['default']}"),)

    def ask(version: str = "", size: int = 5, user: str | None = None) -> tuple[str, str, int]:
        request = PredictionsRequest(model_name="model", model_version=version, input={"body": bytes(size)})
        more = (("x-user", user),) if user else ()
        answer = stub.Predictions(request, metadata=(*metadata, *more), timeout=20)
        received = json.loads(answer.prediction)
        return received["model"], received["version"], received["length"]

    with grpc.secure_channel(f"localhost:{edge.ports.edge}", credentials) as channel:
        stub = InferenceAPIsServiceStub(channel)
        found = Counter(ask() for _ in range(500))
        assert found.keys() == {("model", "1.0", 5), ("model", "2.0", 5)}
        assert is_share(found["model", "2.0", 5], 500, 0.4)
        assert ask(version="7.0") == ("model", "7.0", 5)
        for size in (0, 1, 127, 128, 70_000, 2_000_000):
            assert ask(size=size)[2] == size
        by_user = [ask(user="ann")[1] for _ in range(20)]
        # Both protocols draw alike.
        assert set(by_user) == {edge.ask(**{"x-user": "ann"}).headers["model-version"]}


@pytest.mark.e2e
def test_callers_stay_with_their_version(edge: Edge) -> None:
    users = [f"user-{number}" for number in range(400)]

    def versions() -> dict[str, str]:
        return {user: edge.ask(**{"x-user": user}).headers["model-version"] for user in users}

    edge.split(versions={"1.0": 90, "2.0": 10}, sticky="x-user")
    few = versions()
    assert is_share(list(few.values()).count("2.0"), len(users), 0.1)
    assert versions() == few
    edge.split(versions={"1.0": 50, "2.0": 50}, sticky="x-user")
    more = versions()
    assert is_share(list(more.values()).count("2.0"), len(users), 0.5)
    assert all(more[user] == "2.0" for user in users if few[user] == "2.0")
    # Without the header it is drawn for each call; by the caller's key, all calls of a key have one version.
    assert len(edge.versions(40)) == 2
    edge.split(versions={"1.0": 50, "2.0": 50}, sticky="x-client")
    assert len(edge.versions(40)) == 1


@pytest.mark.parametrize(("split", "bounds"), [
    ({"1.0": 90, "2.0": 10}, [("2.0", 0.1), ("1.0", 1.0)]),
    ({"1.0": 0, "2.0": 100}, [("2.0", 1.0)]),
    ({"a": 33.33, "b": 33.33, "c": 33.34}, [("c", 0.3334), ("b", 0.6667), ("a", 1.0)]),
])  # fmt: skip
def test_bounds_of_a_draw(split: dict[str, float], bounds: list[tuple[str, float]]) -> None:
    found = Split(versions=split).upper_bounds()
    assert [version for version, _ in found] == [version for version, _ in bounds]
    assert [bound for _, bound in found] == pytest.approx([bound for _, bound in bounds])
