"""Versions are registered, scaled and removed under load, over both protocols: no call fails, none hangs."""

import json

import pytest

from client import GrpcClient, NotFound, RestClient
from deploy.edge import traffic
from tests.deploy.versions.conftest import MODEL, Served
from tests.deploy.versions.load import OBSERVATION, load

pytestmark = pytest.mark.e2e


def test_a_loop_of_changes_under_load(served: Served) -> None:
    archive = served.archive("2.0")
    with load(served.server, MODEL) as calls:
        for over in ((), ("--grpc",)):
            assert "2.0 answers" in served.done("register", archive, *over)
            served.done("scale", MODEL, 2, "--version", "2.0", *over)
            served.done("set-default", MODEL, "2.0", *over)
            served.done("scale", MODEL, 1, "--hold", 4, *over)
            served.done("split", MODEL, "1.0=50", "2.0=50")
            served.done("unregister", MODEL, "2.0", *over)
            assert served.versions() == ["1.0"]
            archive = served.archive("2.1")
            assert traffic.read(served.settings / traffic.NAME).closed == {}
    assert calls.failed == []
    assert calls.longest < 10
    assert {protocol for protocol, _ in calls.answered} == {"RestClient", "GrpcClient"}
    assert sum(calls.versions().values()) > 300
