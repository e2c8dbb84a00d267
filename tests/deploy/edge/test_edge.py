"""Calls of callers, admins and web pages through the edge."""

import dataclasses
import json
import time
from pathlib import Path

import pytest
import requests

from client import Forbidden, GrpcClient, InvalidInput, RestClient, RestManagement, Server, Unauthorized
from tests.deploy.edge.caller import EXPLAINED, MODELS, OBSERVATION, ORIGIN, Caller


@pytest.mark.e2e
@pytest.mark.parametrize("make", [RestClient, GrpcClient])
def test_answers_and_errors_through_the_edge(server: Server, make: type[RestClient | GrpcClient]) -> None:
    with make(server) as client:
        assert client.predict("tiny-policy", OBSERVATION).json()["action"] in (0, 1)
        with pytest.raises(InvalidInput, match=r"shape \[1\]"):
            client.predict("tiny-policy", {"data": [1]})
    with make(dataclasses.replace(server, key_file=None)) as stranger, pytest.raises(Unauthorized):
        stranger.predict("tiny-policy", OBSERVATION)


@pytest.mark.e2e
@pytest.mark.parametrize("make", [RestClient, GrpcClient])
def test_pieces_of_a_text_come_through_as_they_are_written(server: Server, make: type[RestClient | GrpcClient]) -> None:
    parameters = {"max_new_tokens": 60, "temperature": 1.0, "seed": 3}
    with make(server) as client:
        client.predict("tiny-writer", "once", parameters=parameters)
        for _ in range(5):  # on a busy machine they may all be there before we are called
            started = time.perf_counter()
            came = [time.perf_counter() - started for _ in client.stream("tiny-writer", "once", parameters=parameters)]
            assert len(came) > 10
            if came[0] < 0.8 * came[-1]:
                return
    pytest.fail(f"held back until the end: the first after {came[0]:.3f} s, the last after {came[-1]:.3f} s")


@pytest.mark.e2e
def test_management_is_for_admins(server: Server, run: Path, tmp_path: Path) -> None:
    with RestManagement(server) as admin:
        assert {*MODELS, EXPLAINED, f"{EXPLAINED}.explain"} == {model.name for model in admin.list_models()}
    keys = json.loads((run / "edge_keys.json").read_text())
    caller = tmp_path / "keys.json"
    caller.write_text(json.dumps(dict.fromkeys(keys, keys["inference"])))
    with RestManagement(dataclasses.replace(server, key_file=caller)) as client, pytest.raises(Forbidden):
        client.list_models()


@pytest.mark.e2e
def test_a_caller_cannot_pass_for_another(server: Server, run: Path) -> None:
    """The header that names the caller is the edge's own, whatever a request says."""
    keys = json.loads((run / "edge_keys.json").read_text())
    answer = requests.get(
        f"{server.management}/models",
        headers={"Authorization": f"Bearer {keys['inference']['key']}", "x-client": "admin"},
        verify=str(server.ca_file),
        timeout=10,
    )
    assert answer.status_code == 403
    assert answer.json()["type"] == "Forbidden"


@pytest.mark.e2e
def test_what_is_secret_is_its_owner_s_alone(run: Path) -> None:
    secret = [run / "edge_keys.json", *(run / "edge").iterdir()]
    secret += [run.parent / "secrets" / name for name in ("clients.yaml", "tls.key")]
    assert all(path.stat().st_mode & 0o077 == 0 for path in secret)


@pytest.mark.e2e
def test_pages_of_allowed_origins_may_ask(caller: Caller) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    answer = caller.rest("OPTIONS", "/predictions/tiny-policy", key="", headers={"Origin": ORIGIN, **asked})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert answer.headers["access-control-allow-methods"] == "POST, GET"
    for key in ("inference", ""):  # a refusal can be read as well
        answer = caller.rest("POST", "/predictions/tiny-policy", key, headers={"Origin": ORIGIN}, data=b"x")
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    for origin, path in (("https://app.example.org.evil", "/predictions/tiny-policy"), (ORIGIN, "/models")):
        answer = caller.rest("OPTIONS", path, key="", headers={"Origin": origin, **asked})
        assert answer.status_code == 401
        assert "access-control-allow-origin" not in answer.headers
