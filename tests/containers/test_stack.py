"""The stack on a real Docker engine: answers through the edge, refusals at it, and what happens when servers go."""

import dataclasses
import json
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import requests

from client import (
    Forbidden,
    GrpcClient,
    GrpcManagement,
    InvalidInput,
    RestClient,
    RestManagement,
    Server,
    TooLarge,
    TooManyRequests,
    Unauthorized,
)
from deploy.models import DEMO
from tests.closeness import assert_close
from tests.containers.load import Load, in_threads
from tests.containers.models import INPUTS
from tests.containers.stack import PORT, Stack


def test_the_demo_s_archives_fill_a_store_that_has_none(stack: Stack, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    image = "torchserve-bundle/models:0.1.0"
    command = ("docker", "run", "--rm", "--network=none", "--read-only", "-v", f"{tmp_path}:/models", image)
    assert stack.run(*command).splitlines() == sorted(f"{name}.mar" for name in DEMO)
    for archive in tmp_path.iterdir():
        assert json.loads(zipfile.ZipFile(archive).read("card.json"))["name"] == archive.stem
    (tmp_path / "imagenet.mar").unlink()
    assert stack.run(*command) == ""  # it has archives, which ones is its owner's affair
    assert len(list(tmp_path.iterdir())) == len(DEMO) - 1


@pytest.mark.parametrize("model", INPUTS)
def test_every_model_over_rest_and_grpc(rest: RestClient, grpc: GrpcClient, model: str) -> None:
    assert_close(grpc.predict(model, INPUTS[model]).json(), rest.predict(model, INPUTS[model]).json())


@pytest.mark.parametrize("make", [RestClient, GrpcClient])
def test_a_model_s_error_is_an_error_on_both_protocols(server: Server, make: type[RestClient | GrpcClient]) -> None:
    with make(server) as client, pytest.raises(InvalidInput, match=r"shape \[2\]; wanted \[4\]"):
        client.predict("tiny-policy", {"data": [1, 2]})


def test_the_grpc_status_of_a_model_s_error(stack: Stack, server: Server) -> None:
    """For callers without our client."""
    import grpc

    from client.call import Call
    from client.rpc import channel
    from client.stubs.inference_pb2_grpc import InferenceAPIsServiceStub
    from client.wire.rpc_request import metadata, rpc_request

    with channel(server.grpc, server) as made, pytest.raises(grpc.RpcError) as raised:
        InferenceAPIsServiceStub(made).Predictions(
            rpc_request(Call("tiny-policy", "ä"), server),
            metadata=metadata(f"Bearer {stack.key('inference')}"),
        )
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "this model takes application/json" in raised.value.details()


@pytest.mark.parametrize("make", [RestClient, GrpcClient])
def test_without_a_key_and_with_a_wrong_one(
    server: Server, make: type[RestClient | GrpcClient], tmp_path: Path
) -> None:
    wrong = tmp_path / "keys.json"
    wrong.write_text(json.dumps({name: {"key": "wrong"} for name in ("inference", "management", "API")}))
    for key_file in (None, wrong):
        stranger = dataclasses.replace(server, key_file=key_file)
        with make(stranger) as client, pytest.raises(Unauthorized):
            client.predict("tiny-policy", INPUTS["tiny-policy"])


@pytest.mark.parametrize("make", [RestManagement, GrpcManagement])
def test_management_is_for_admins(
    stack: Stack, server: Server, make: type[RestManagement | GrpcManagement], tmp_path: Path
) -> None:
    with make(server) as admin:
        assert {model.name for model in admin.list_models()} == set(INPUTS)
    caller = tmp_path / "keys.json"
    caller.write_text(
        json.dumps({name: {"key": stack.key("inference")} for name in ("inference", "management", "API")})
    )
    with make(dataclasses.replace(server, key_file=caller)) as client, pytest.raises(Forbidden):
        client.list_models()


@pytest.mark.parametrize("make", [RestClient, GrpcClient])
def test_a_body_that_is_too_large(server: Server, make: type[RestClient | GrpcClient]) -> None:
    with make(server) as client, pytest.raises(TooLarge):
        client.predict("tiny-image", bytes(25 << 20), content_type="image/png")


def test_more_than_the_rate(stack: Stack, server: Server, rest: RestClient, tmp_path: Path) -> None:
    """The bucket holds 20; the refusals come at once and say so, on both protocols, and it fills again."""
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({name: {"key": stack.limited} for name in ("inference", "management", "API")}))
    limited = dataclasses.replace(server, key_file=keys)
    counted: Counter[str] = Counter()

    def ask(make: type[RestClient | GrpcClient]) -> None:
        with make(limited) as client:
            for _ in range(60):
                try:
                    client.predict("tiny-policy", INPUTS["tiny-policy"])
                    counted["answered"] += 1
                except TooManyRequests:
                    counted[make.__name__] += 1

    in_threads([lambda: ask(RestClient), lambda: ask(GrpcClient)])
    assert counted["RestClient"] > 0
    assert counted["GrpcClient"] > 0
    assert counted["answered"] >= 20
    assert sum(counted.values()) == 120
    rest.predict("tiny-policy", INPUTS["tiny-policy"])  # another caller's requests are another's affair
    time.sleep(2)
    with RestClient(limited) as again:
        again.predict("tiny-policy", INPUTS["tiny-policy"])


def access_log(stack: Stack) -> tuple[list[str], list[dict[str, Any]]]:
    """The edge's log by line, and its access records."""
    lines = stack.compose("logs", "--no-color", "edge").splitlines()
    return lines, [json.loads(line.partition("{")[1] + line.partition("{")[2]) for line in lines if '"path"' in line]


def test_requests_spread_over_the_servers(stack: Stack, rest: RestClient) -> None:
    before = len(access_log(stack)[1])
    for _ in range(40):
        rest.predict("tiny-policy", INPUTS["tiny-policy"])
    end = time.monotonic() + 60
    while len(access_log(stack)[1]) < before + 40 and time.monotonic() < end:
        time.sleep(1)  # the access log is written now and then
    lines, records = access_log(stack)
    servers = Counter(
        r["server"].partition(":")[0]
        for r in records[before:]
        if r["path"] == "/predictions/tiny-policy" and r["code"] == 200
    )
    assert len(servers) == 2, servers
    assert all(r["request_id"] for r in records)
    assert {r["client"] for r in records if r["code"] == 200 and r["path"].startswith("/pred")} <= {
        "default",
        "limited",
    }
    assert not any(stack.key(name) in line for name in ("inference", "management") for line in lines)


def test_a_request_id_comes_back(stack: Stack) -> None:
    answer = requests.post(
        f"https://localhost:{PORT}/predictions/tiny-policy",
        json=[0.1, 0.2, 0.3, 0.4],
        headers={"Authorization": f"Bearer {stack.key('inference')}"},
        verify=stack.ca_file,
        timeout=10,
    )
    assert answer.ok
    assert len(answer.headers["x-request-id"]) == 36


def test_what_no_key_opens(stack: Stack) -> None:
    headers = {"Authorization": f"Bearer {stack.key('management')}"}
    for path in ("/", "/ping", "/token?type=inference", "/metrics", "/workflows", "/api-description"):
        answer = requests.get(f"https://localhost:{PORT}{path}", headers=headers, verify=stack.ca_file, timeout=10)
        assert (answer.status_code, answer.json()["type"]) == (404, "NotFound")


def test_only_the_edge_is_published(stack: Stack) -> None:
    published = {
        service: stack.run("docker", "port", container).strip()
        for service in ("server", "prometheus", "edge")
        for container in stack.containers(service)[:1]
    }
    assert published.pop("edge")
    assert published == {"server": "", "prometheus": ""}


def test_the_server_runs_as_nobody_in_particular(stack: Stack) -> None:
    [container, *_] = stack.containers("server")
    assert stack.run("docker", "exec", container, "id", "-u").strip() == "10001"
    inspected = json.loads(stack.run("docker", "inspect", container))[0]
    assert inspected["HostConfig"]["ReadonlyRootfs"] is True
    assert inspected["HostConfig"]["CapDrop"] == ["ALL"]


def test_prometheus_sees_every_server(stack: Stack) -> None:
    [container] = stack.containers("prometheus")
    query = ["promtool", "query", "instant", "http://127.0.0.1:9090", "count(up{job=~'torchserve|status'} == 1)"]
    end = time.monotonic() + 60
    while "=> 4" not in (found := stack.run("docker", "exec", container, *query)):
        assert time.monotonic() < end, found
        time.sleep(2)
    assert stack.health(container) == "healthy"


def test_sigterm_drains_without_a_failed_request(stack: Stack, server: Server) -> None:
    [first, *_] = stack.containers("server")
    with Load(server) as load:
        time.sleep(2)
        stack.run("docker", "stop", "-t", "60", first)
        time.sleep(2)
    assert stack.run("docker", "inspect", "-f", "{{.State.ExitCode}}", first).strip() == "0"
    assert list(load.counted) == ["answered"], load.counted
    assert load.counted["answered"] > 50
    stack.up(servers=2)


def test_a_killed_server_loses_nothing(stack: Stack, server: Server) -> None:
    """Its requests in flight go to the other one: predictions change nothing, so they can be asked for again."""
    [first, *_] = stack.containers("server")
    with Load(server) as load:
        time.sleep(2)
        stack.run("docker", "kill", first)
        time.sleep(5)
    assert list(load.counted) == ["answered"], load.counted
    assert load.counted["answered"] > 50
    stack.up(servers=2)


def test_a_restart_keeps_what_is_kept(stack: Stack, rest: RestClient) -> None:
    key, certificate = stack.key("inference"), Path(stack.ca_file).read_bytes()
    stack.compose("down")
    stack.up(servers=1)
    assert (stack.key("inference"), Path(stack.ca_file).read_bytes()) == (key, certificate)
    assert rest.predict("tiny-policy", INPUTS["tiny-policy"]).json()["action"] in (0, 1)
