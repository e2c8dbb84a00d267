"""Explanations through the edge: with the key of predictions, to workers of their own."""

from typing import Any

import pytest

from client import GrpcClient, RestClient, Server
from tests.deploy.edge.caller import EXPLAINED, Caller, assert_form

TEXT: dict[str, Any] = {"data": b"The train leaves at nine.", "headers": {"Content-Type": "text/plain"}}


@pytest.mark.e2e
@pytest.mark.parametrize("path", [EXPLAINED, f"{EXPLAINED}/1.0", f"{EXPLAINED}.explain", f"{EXPLAINED}.explain/1.0"])
def test_every_path_leads_to_the_workers_of_explanations(caller: Caller, path: str) -> None:
    answer = caller.rest("POST", f"/explanations/{path}", **TEXT)
    assert answer.status_code == 200
    assert answer.json()["method"] == "integrated-gradients"


@pytest.mark.e2e
def test_they_need_a_callers_key(caller: Caller) -> None:
    assert_form(caller.rest("POST", f"/explanations/{EXPLAINED}", key="", **TEXT), 401, "Unauthorized")


@pytest.mark.e2e
def test_a_header_does_not_make_a_prediction_an_explanation(caller: Caller) -> None:
    headers = {"explain": "True", "Explain": "True", **TEXT["headers"]}
    answer = caller.rest("POST", f"/predictions/{EXPLAINED}", data=TEXT["data"], headers=headers)
    assert "predictions" in answer.json()


@pytest.mark.e2e
@pytest.mark.parametrize("kind", [RestClient, GrpcClient])
def test_our_clients_explain(server: Server, kind: type[RestClient] | type[GrpcClient]) -> None:
    with kind(server) as client:
        found = client.explain(EXPLAINED, "The train leaves at nine.", parameters={"n_steps": 3}).json()
    assert found["n_steps"] == 3
