"""For browsers and proxies: the request id in every answer, Server-Timing, gzip bodies on every surface, preflights."""

import gzip
import json
from typing import Any

import pytest

from client import AsyncGrpcClient, AsyncRestClient, ClientError, GrpcClient, RestClient, Server
from client.call import Call
from client.stubs.inference_pb2_grpc import InferenceAPIsServiceStub
from client.wire.rpc_request import metadata, rpc_request
from deploy.edge.limits import MAX_REQUEST
from tests.client.waiting import Waiting
from tests.deploy.edge.caller import EXPLAINED, OBSERVATION, ORIGIN, Caller

pytestmark = pytest.mark.e2e
POLICY = "/predictions/tiny-policy"
TENSOR = {"inputs": [{"name": "observation", "shape": [1, 4], "datatype": "FP32", "data": OBSERVATION["data"]}]}
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
# Path, and a JSON body that it takes.
SURFACES: dict[str, tuple[str, Any]] = {
    "predictions": (POLICY, OBSERVATION),
    "KServe v1": ("/v1/models/tiny-policy:predict", {"instances": [OBSERVATION["data"]]}),
    "KServe v2": ("/v2/models/tiny-policy/infer", TENSOR),
    "explanations": (f"/explanations/{EXPLAINED}", {"data": "a match in the rain"}),
}
# Method, path, key, further arguments, and the code of the answer: of a model, TorchServe, the status and the edge.
ANSWERS: dict[str, tuple[str, str, str, dict[str, Any], int]] = {
    "answer": ("POST", POLICY, "inference", {"json": OBSERVATION}, 200),
    "the model's error": ("POST", POLICY, "inference", {"json": {"data": [1]}}, 422),
    "no such model": ("POST", "/predictions/nobody", "inference", {"json": OBSERVATION}, 404),
    "a broken form": ("POST", POLICY, "inference", {"data": b"x", "headers": FORM}, 400),
    "no key": ("POST", POLICY, "", {"json": OBSERVATION}, 401),
    "a wrong method": ("GET", POLICY, "inference", {}, 405),
    "no path": ("GET", "/nothing", "inference", {}, 404),
    "too large": ("POST", POLICY, "inference", {"data": bytes(MAX_REQUEST + 1)}, 413),
    "a caller who may not": ("GET", "/models", "inference", {}, 403),
    "the description": ("GET", "/openapi.json", "inference", {}, 200),
    "metadata": ("GET", "/v2/models/nobody", "inference", {}, 404),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_has_a_request_id(caller: Caller, name: str) -> None:
    method, path, key, more, code = ANSWERS[name]
    answer = caller.rest(method, path, key, **more)
    assert answer.status_code == code, answer.text
    assert len(answer.headers["x-request-id"]) == 36
    again = caller.rest(method, path, key, **more)
    assert again.headers["x-request-id"] != answer.headers["x-request-id"]


@pytest.mark.parametrize("name", ["answer", "the model's error", "no key"])
def test_grpc_has_it_in_metadata(caller: Caller, name: str) -> None:
    payload = {"data": [1]} if name == "the model's error" else OBSERVATION
    bearer = None if name == "no key" else caller.keys["inference"]
    call = InferenceAPIsServiceStub(caller.channel).Predictions.future(
        rpc_request(Call("tiny-policy", payload), caller.server), metadata=metadata(bearer), timeout=60
    )
    assert (call.exception() is None) == (name == "answer")
    found = {**dict(call.initial_metadata() or ()), **dict(call.trailing_metadata() or ())}
    assert len(found["x-request-id"]) == 36


@pytest.mark.parametrize("make", [RestClient, GrpcClient, AsyncRestClient, AsyncGrpcClient])
def test_our_clients_hand_it_on(server: Server, make: Any) -> None:
    opened = make(server) if make in (RestClient, GrpcClient) else Waiting(make, server)
    with opened as client:
        assert len(client.predict("tiny-policy", OBSERVATION).request_id) == 36
        with pytest.raises(ClientError) as raised:
            client.predict("tiny-policy", {"data": [1]})
        assert len(raised.value.request_id) == 36


@pytest.mark.parametrize("name", SURFACES)
def test_a_gzip_body_and_the_stages_on_every_surface(caller: Caller, name: str) -> None:
    path, value = SURFACES[name]
    plain = caller.rest("POST", path, json=value)
    assert plain.status_code == 200, plain.text
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    packed = caller.rest("POST", path, data=gzip.compress(json.dumps(value).encode()), headers=headers)
    assert (packed.status_code, packed.json()) == (200, plain.json())
    for answer in (plain, packed):
        stages = dict(part.split(";dur=") for part in answer.headers["server-timing"].split(", "))
        assert set(stages) == {"decode", "inference", "encode"}
        assert all(float(each) >= 0 for each in stages.values())
    broken = caller.rest("POST", path, data=b"not gzip", headers=headers)
    assert broken.status_code == 400
    assert "gzip" in broken.text


@pytest.mark.parametrize("name", SURFACES)
def test_a_page_may_ask_every_surface(caller: Caller, name: str) -> None:
    path, value = SURFACES[name]
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,content-encoding,traceparent",
    }
    preflight = caller.rest("OPTIONS", path, key="", headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, ORIGIN)
    allowed = {each.strip() for each in preflight.headers["access-control-allow-headers"].split(",")}
    assert {"authorization", "content-type", "content-encoding", "traceparent", "tracestate"} <= allowed
    for other in ("https://other.example", "null", f"{ORIGIN}.evil"):
        refused = caller.rest("OPTIONS", path, key="", headers={**asked, "Origin": other})
        assert "access-control-allow-origin" not in refused.headers
    answer = caller.rest("POST", path, json=value, headers={"Origin": ORIGIN})
    exposed = {each.strip() for each in answer.headers["access-control-expose-headers"].split(",")}
    assert {"x-request-id", "server-timing", "retry-after"} <= exposed
