"""KServe's v2 protocol through the edge, asked by NVIDIA's and KServe's own clients."""

import re
from pathlib import Path
from typing import Any

import pytest

from client import RestClient
from deploy.surface.inference_service import STATUSES
from tests.closeness import assert_close
from tests.deploy.edge.caller import EXPLAINED, MODELS, Caller
from tests.peers.run import PROJECT, run

OBSERVATIONS = [[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]]
METADATA: dict[str, Any] = {
    "name": "tiny-policy",
    "versions": ["1.0"],
    "platform": "pytorch_torchserve",
    "inputs": [{"name": "data", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "predictions", "datatype": "BYTES", "shape": [-1]}],
}
SHAPE = "instance[0]: the observation has shape [3]; wanted [4], or [N, 4] for several"
UNKNOWN = "Model not found: nothing"
NO_KEY = "no key, or an unknown one; wanted the header Authorization: Bearer KEY"
NO_PATH = "no such path; there is POST /predictions/{model}"
pytestmark = pytest.mark.e2e


@pytest.fixture
def wanted(caller: Caller) -> list[Any]:
    with RestClient(caller.server) as client:
        return [client.predict("tiny-policy", {"data": each}).json() for each in OBSERVATIONS]


def arguments(caller: Caller) -> tuple[str, str]:
    return caller.keys["inference"].removeprefix("Bearer "), str(caller.server.ca_file)


def test_nvidia_s_client_over_http(caller: Caller, wanted: list[Any]) -> None:
    found = run("triton_http", caller.server.inference.removeprefix("https://"), *arguments(caller))
    assert [found[name] for name in ("live", "ready", "model", "version", "none")] == [True, True, True, True, False]
    assert found["metadata"] == METADATA
    assert found["server"] == {
        "name": "torchserve",
        "version": "0.12.0",
        "extensions": ["binary_tensor_data", "parameters"],
    }
    assert found["ids"] == ["seven"] * 4
    for answers in found["answers"]:
        assert_close(answers, wanted)
    assert found["refused"] == ["422", SHAPE]
    assert found["unknown"] == found["about unknown"] == ["404", UNKNOWN]
    assert found["without a key"] == ["401", NO_KEY]
    assert found["other extension"] == ["404", NO_PATH]


def test_nvidia_s_client_over_grpc(caller: Caller, wanted: list[Any]) -> None:
    found = run("triton_grpc", caller.server.grpc, *arguments(caller))
    assert [found[name] for name in ("live", "ready", "model", "version")] == [True] * 4
    for one, other in zip(found["metadata"]["inputs"], METADATA["inputs"], strict=True):
        assert [int(length) for length in one["shape"]] == other["shape"]
    assert found["ids"] == ["seven"] * 3
    for answers in found["answers"][:2]:
        assert_close(answers, wanted)
    assert {each["action"] for each in found["answers"][2]} <= {0, 1}
    assert found["refused"] == ["StatusCode.INVALID_ARGUMENT", SHAPE]
    assert found["parameter"][1].startswith('instance[0]: "sed": not a parameter')
    assert found["unknown"] == found["about unknown"] == ["StatusCode.NOT_FOUND", UNKNOWN]
    assert found["without a key"] == ["StatusCode.UNAUTHENTICATED", NO_KEY]
    assert found["other extension"] == ["StatusCode.UNIMPLEMENTED", NO_PATH]


def test_kserve_s_clients(caller: Caller, wanted: list[Any]) -> None:
    found = run("kserve_client", caller.server.inference, caller.server.grpc, *arguments(caller))
    for protocol in (found, found["rpc"]):
        assert [protocol[name] for name in ("live", "ready", "model")] == [True] * 3
        for answers in protocol["answers"]:
            assert_close(answers, wanted)
    assert found["refused"] == [422, {"error": SHAPE}]


@pytest.mark.parametrize(("method", "path", "code"), [
    ("POST", "/v2/models/tiny-policy/explain", 404),
    ("POST", "/v2/models/tiny-policy", 405),
    ("GET", "/v2/models/tiny-policy/infer", 405),
    ("GET", "/v1/models/tiny-policy:predict", 405),
    ("POST", "/v1/models/tiny-policy:predict", 400),
    ("POST", "/v2/models/tiny-policy/infer", 400),
    ("POST", "/v2/models/tiny-policy/versions/1.0/infer", 400),
    ("POST", "/v2/models/tiny-policy/versions/9.0/infer", 404),
    ("GET", "/v2/models/tiny-policy/versions/9.0", 404),
    ("POST", "/v1/models/nothing:predict", 404),
])  # fmt: skip
def test_errors_have_the_protocol_s_form(caller: Caller, method: str, path: str, code: int) -> None:
    answer = caller.rest(method, path, data=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status_code, list(answer.json())) == (code, ["error"]), answer.text


def test_probes_need_no_key(caller: Caller) -> None:
    for name in ("live", "ready"):
        assert caller.rest("GET", f"/v2/health/{name}", key="").json() == {name: True}
    answer = caller.rest("GET", "/v2/models/tiny-policy/ready", key="")
    assert (answer.status_code, answer.json()) == (401, {"error": NO_KEY})
    assert caller.rest("GET", "/v2/models").json()["models"] == sorted((*MODELS, EXPLAINED))


def test_a_caller_does_not_choose_the_form_of_errors(caller: Caller) -> None:
    headers = {"Content-Type": "application/json", "x-kserve": "true"}
    answer = caller.rest("POST", "/predictions/tiny-policy", data=b"{", headers=headers)
    assert set(answer.json()) == {"code", "type", "message"}


def test_both_sides_of_the_edge_have_the_same_statuses() -> None:
    text = Path(PROJECT, "docker", "edge", "responses.lua").read_text(encoding="utf-8")
    theirs = {int(code): int(status) for code, status in re.findall(r'\["(\d{3})"\] = "(\d+)"', text)}
    assert {code: status.value[0] for code, status in STATUSES.items()} == theirs
