"""Refusals of the edge: paths, keys, headers and messages that are not documented."""

import random
import struct

import grpc
import pytest
from google.protobuf.message import Message

from client.stubs.management_pb2 import RegisterModelRequest, ScaleWorkerRequest
from tests.deploy.edge.caller import OBSERVATION, Caller, assert_form, field

WRITER = field(1, b"tiny-writer")
TEXT = field(3, field(1, b"body") + field(2, b"once")) + field(3, field(1, b"content-type") + field(2, b"text/plain"))
STREAM, MARK = b"stream", b"StreamPredictions"


@pytest.mark.e2e
@pytest.mark.parametrize(("method", "path", "code", "type"), [
    ("POST", "/explanations/tiny-policy", 404, "ModelNotFoundException"),
    ("POST", "/explanations/tiny-policy/1.0/more", 404, "NotFound"),
    ("GET", "/explanations/tiny-policy", 405, "MethodNotAllowed"),
    ("POST", "/predictions/tiny-policy/1.0/more", 404, "NotFound"),
    ("POST", "/v1/models/tiny-policy:explain:predict", 404, "NotFound"),
    ("POST", "/predictions/a%00b", 400, "BadRequest"),
    ("GET", "/predictions/tiny-policy", 405, "MethodNotAllowed"),
    ("OPTIONS", "/predictions/tiny-policy", 405, "MethodNotAllowed"),
    ("GET", "/predictions/%2e%2e/models", 403, "Forbidden"),
])  # fmt: skip
def test_only_documented_paths_reach_the_server(caller: Caller, method: str, path: str, code: int, type: str) -> None:
    assert_form(caller.rest(method, path), code, type)


@pytest.mark.e2e
def test_without_and_with_the_wrong_key(caller: Caller) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}, {"x-client": "admin"}):
        answer = caller.rest("POST", "/predictions/tiny-policy", key="", headers=headers)
        assert_form(answer, 401, "Unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert_form(caller.rest("DELETE", "/models/tiny-policy"), 403, "Forbidden")
    caller.keys["management"] = caller.keys["inference"]
    assert caller.rpc("ListModels", b"", "management")[0] == "PERMISSION_DENIED"
    caller.keys["inference"] = "Bearer wrong"
    assert caller.rpc("Ping", b"")[0] == "UNAUTHENTICATED"


@pytest.mark.e2e
def test_a_header_does_not_decide_what_is_done(caller: Caller) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for name in ("describe", "DESCRIBE", "explain", "Explain"):
        answer = caller.rest("POST", "/predictions/tiny-policy", headers={name: "True", **form})
        assert_form(answer, 415, "UnsupportedMedia")
    for name in ("url_path", "ts_request_sequence_id"):
        answer = caller.rest("POST", "/predictions/tiny-policy", headers={name: "x", **form})
        assert_form(answer, 400, "BadRequest")


@pytest.mark.e2e
@pytest.mark.parametrize("message", [
    field(3, field(1, STREAM) + field(2, MARK)),
    field(3, field(2, MARK) + field(1, STREAM)),
    field(3, field(1, STREAM, 4) + field(2, MARK, 4), 2),
    field(3, field(1, STREAM) + field(2, b"x") + field(2, MARK)),
    field(3, field(1, b"x") + field(2, MARK) + field(1, STREAM)),
    field(4, b"sequence"),
    field(9, b"unknown"),
    field(2, b"../1.0"),
    b"\x1b\x1c",  # a group
    b"\x0a\x7fcut off",
    b"\xff" * 12,
    *[b"".join(field(3, field(1, b"p%d" % i) + field(2, b"x")) for i in range(100))],
])  # fmt: skip
def test_a_message_that_our_clients_do_not_send(caller: Caller, message: bytes) -> None:
    """The first ends TorchServe's thread of the worker if it gets there: nothing would be answered any more."""
    assert caller.rpc("Predictions", WRITER + TEXT + message)[0] == "INVALID_ARGUMENT"
    assert caller.rpc("Predictions", WRITER + TEXT, timeout=20)[0] == "OK"


@pytest.mark.e2e
@pytest.mark.parametrize("content_type", ["Application/GRPC", "application/grpc+proto", "application/grpc;x"])
def test_the_spelling_of_the_content_type_hides_nothing(caller: Caller, content_type: str) -> None:
    message = WRITER + TEXT + field(3, field(1, STREAM) + field(2, MARK))
    path = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"
    data = struct.pack(">BI", 0, len(message)) + message
    answer = caller.rest("POST", path, data=data, headers={"Content-Type": content_type, "TE": "trailers"})
    assert "asks for a stream" in answer.headers.get("grpc-message", answer.text)
    assert caller.rpc("Predictions", WRITER + TEXT, timeout=20)[0] == "OK"


@pytest.mark.e2e
def test_a_mark_within_json_starts_no_stream(caller: Caller) -> None:
    """The edge reads entries; what stands in a body is for the handler to refuse."""
    body = rb'{"text": "once", "stream": "\u0053treamPredictions"}'
    json_type = field(3, field(1, b"content-type") + field(2, b"application/json"))
    status, said = caller.rpc("Predictions", WRITER + field(3, field(1, b"body") + field(2, body)) + json_type)
    assert (status, "stream" in said) == ("INVALID_ARGUMENT", True)
    assert caller.rpc("Predictions", WRITER + TEXT, timeout=20)[0] == "OK"


@pytest.mark.e2e
def test_only_the_calls_of_our_clients(caller: Caller) -> None:
    for method in ("StreamPredictions2", "Nope", "../Ping"):
        assert caller.rpc(method, WRITER + TEXT)[0] == "UNIMPLEMENTED"
    for service in ("openinference.GRPCInferenceService", "../../../grpc.health.v1.Health"):
        call = caller.channel.unary_unary(f"/org.pytorch.serve.grpc.{service}/ServerLive")
        with pytest.raises(grpc.RpcError) as raised:
            call(b"", metadata=(("authorization", caller.keys["management"]),), timeout=20)
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    predictions = caller.channel.stream_stream("/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions")
    for messages, options in (([WRITER + TEXT] * 2, {}), ([WRITER + TEXT * 9], {"compression": grpc.Compression.Gzip})):
        metadata = (("authorization", caller.keys["inference"]),)
        with pytest.raises(grpc.RpcError) as raised:
            list(predictions(iter(messages), metadata=metadata, timeout=20, **options))
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caller.rpc("Predictions", field(1, b"nobody"))[0] == "NOT_FOUND"
    assert caller.rpc("Predictions", b"")[0] == "INVALID_ARGUMENT"


@pytest.mark.e2e
@pytest.mark.parametrize("query", [
    "url=file:///tmp/x.mar", "url=file%3A%2F%2F%2Ftmp%2Fx.mar", "url=%2e%2e/x.mar", "url=/etc", "url=..%2Fx.mar",
    "url=http://127.0.0.1:9/x.mar", "url=x.mar&model_name=../../x", "url=x.mar&model_name=a%2Fb",
    "url=x.mar&batch_size=100000000", "url=x.mar&batch_size=-1", "url=x.mar&batch_size=0",
    "url=x.mar&initial_workers=abc", "url=x.mar;batch_size=-1", "url=x.mar&handler=os:system",
    "url=x.mar&b%61tch_size=-1", "url=x.mar&model_name=" + 200 * "a", "url=x.mar&response_timeout=99999",
])  # fmt: skip
def test_a_registration_that_is_not_documented(caller: Caller, query: str) -> None:
    assert_form(caller.rest("POST", f"/models?{query}", "management"), 422, "InvalidInput")


@pytest.mark.e2e
@pytest.mark.parametrize(("method", "message"), [
    ("RegisterModel", RegisterModelRequest(url="/etc")),
    ("RegisterModel", RegisterModelRequest(url="x.mar", model_name="../x")),
    ("RegisterModel", RegisterModelRequest(url="x.mar", batch_size=-1)),
    ("RegisterModel", RegisterModelRequest(url="x.mar", batch_size=100_000_000)),
    ("RegisterModel", RegisterModelRequest(url="x.mar", handler="os:system")),
    ("ScaleWorker", ScaleWorkerRequest(model_name="tiny-policy", min_worker=1000)),
])  # fmt: skip
def test_a_registration_over_grpc(caller: Caller, method: str, message: Message) -> None:
    assert caller.rpc(method, message.SerializeToString(), "management")[0] == "INVALID_ARGUMENT"


@pytest.mark.e2e
def test_a_registration_in_json_is_not_read(caller: Caller) -> None:
    answer = caller.rest("POST", "/models", "management", json={"url": "tiny-policy.mar", "batch_size": -1})
    assert (answer.status_code, answer.json()["message"]) == (400, "Parameter url is required.")
    assert_form(caller.rest("PUT", "/models/tiny-policy?min_worker=1000", "management"), 422, "InvalidInput")
    assert_form(caller.rest("GET", "/models?limit=-1", "management"), 422, "InvalidInput")


@pytest.mark.e2e
def test_a_model_whose_name_begins_with_token(caller: Caller) -> None:
    """TorchServe takes such a path for a request of a key, unless its first letter is encoded."""
    assert caller.rest("POST", "/models?url=tiny-policy.mar&model_name=tokenizer", "management").ok
    assert caller.rest("GET", "/models/tokenizer?customized=false", "management").json()[0]["modelName"] == "tokenizer"
    assert caller.rest("DELETE", "/models/tokenizer", "management").ok


@pytest.mark.e2e
@pytest.mark.parametrize(("content_type", "body"), [
    ("multipart/form-data; boundary=b", '--b\r\nContent-Disposition: form-data; name=""\r\n\r\n1\r\n--b--\r\n'),
    ("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n"),
    ("multipart/form-data; boundary=b", '--b\r\nContent-Disposition: form-data; name="data"; filename="x"\r\n'
     "Content-Transfer-Encoding: foo\r\n\r\n1\r\n--b--\r\n"),
    ("multipart/form-data; boundary=b; charset=nope", "--b--\r\n"),
    ("multipart/form-data; boundary=", "1"),
    ("multipart/form-data; boundary=b", '--b\r\nContent-Disposition: form-data; name="data"; filename="x"\r\n'
     "Content-Type: image/jpeg; charset=nope\r\n\r\n1\r\n--b--\r\n"),
])  # fmt: skip
def test_a_form_that_torchserve_cannot_read(caller: Caller, content_type: str, body: str | bytes) -> None:
    answer = caller.rest("POST", "/predictions/tiny-policy", data=body, headers={"Content-Type": content_type})
    assert_form(answer, 400, "MalformedInput")


@pytest.mark.e2e
@pytest.mark.parametrize("charset", ["charset=binary", 'CharSet="BINARY"', "charset = binary; x=y"])
@pytest.mark.parametrize("boundary", ["b", '"b"'])
def test_a_part_of_a_form_whose_charset_is_binary(caller: Caller, charset: str, boundary: str) -> None:
    """So `file --mime` says of images, and curl with such a type."""
    head = '--b\r\nContent-Disposition: form-data; name="data"; filename="charset=binary"\r\n'
    numbers = f"content-type: application/json; {charset}\r\n\r\n{OBSERVATION['data']}\r\n"
    settings = '--b\r\nContent-Disposition: form-data; name="deterministic"\r\n\r\ntrue\r\n--b--\r\n'
    answer = caller.rest(
        "POST",
        "/predictions/tiny-policy",
        data=head + numbers + settings,
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    assert answer.status_code == 200, answer.text
    wanted = caller.rest("POST", "/predictions/tiny-policy", json={**OBSERVATION, "deterministic": True})
    assert answer.json() == wanted.json()


@pytest.mark.e2e
@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "Application/X-WWW-form-urlencoded; a=b"]
)
@pytest.mark.parametrize("body", ["=1", "a=%zz", bytes(range(256)), "a=" + "x" * 9000 + "%zz", b"\xff\xd8\xff" * 999])
def test_a_file_that_came_as_a_web_form(caller: Caller, content_type: str, body: str | bytes) -> None:
    answer = caller.rest("POST", "/predictions/tiny-policy", data=body, headers={"Content-Type": content_type})
    assert_form(answer, 415, "UnsupportedMedia")
    assert "name its type" in answer.json()["message"]


@pytest.mark.e2e
def test_a_large_file_that_came_as_a_web_form(caller: Caller) -> None:
    """TorchServe's own answer repeats it, and is cut off in one of four calls."""
    body = b"%zz" + random.Random(0).randbytes(300_000)
    for _ in range(40):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert_form(
            caller.rest("POST", "/predictions/tiny-policy", data=body, headers=headers), 415, "UnsupportedMedia"
        )


@pytest.mark.e2e
@pytest.mark.parametrize("path", ["/predictions/tiny-policy", "/predictions/tiny-policy/1.0"])
def test_parameters_in_a_query(caller: Caller, path: str) -> None:
    def actions(query: str) -> list[int]:
        body = {"observation": OBSERVATION["data"]}
        return [caller.rest("POST", f"{path}?{query}&seed={seed}", json=body).json()["action"] for seed in range(12)]

    assert set(actions("deterministic=true")) != set(actions("deterministic=false")) == {0, 1}
    for query in ("nosuch=1", "deterministic=perhaps", "data=1", "seed=1&seed=2"):
        answer = caller.rest("POST", f"{path}?{query}", json=OBSERVATION)
        assert answer.status_code in (400, 422), answer.text
        assert query.partition("=")[0] in answer.json()["message"]
    answer = caller.rest("POST", "/v1/models/tiny-policy:predict?nosuch=1", json={"instances": [OBSERVATION]})
    assert (answer.status_code, list(answer.json())) == (422, ["error"]), answer.text
