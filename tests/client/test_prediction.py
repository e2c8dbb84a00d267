"""Both protocols, the same calls: what is sent, what comes back, what is raised."""

import base64
import dataclasses
import threading
from time import monotonic

import pytest

from client import (
    BadRequest,
    ClientError,
    DeadlineExceeded,
    Forbidden,
    GrpcClient,
    InvalidInput,
    NotAcceptable,
    NotFound,
    OutOfMemory,
    RestClient,
    ServerError,
    TooLarge,
    Unavailable,
    Unreachable,
    UnsupportedMedia,
)
from client.errors import BUSY
from tests.client.fake.rpc import STATUS_OF
from tests.client.fake_server import FakeServer
from tests.client.waiting import ALL, GRPC, REST, Make

BOTH = pytest.mark.parametrize("make", [RestClient, GrpcClient])


def sent(answer: object) -> bytes:
    return base64.b64decode(answer.json()["body"])  # type: ignore[attr-defined]


@ALL
@pytest.mark.parametrize(
    ("payload", "body"), [(b"\0\xff", b"\0\xff"), ("é", "é".encode()), ([1.5], b"[1.5]"), (b"", b"")]
)
def test_the_payload_arrives_as_it_is(fake_server: FakeServer, make: Make, payload: bytes | str, body: bytes) -> None:
    with make(fake_server.server) as client:
        answer = client.predict("echo", payload)
    assert sent(answer) == body
    assert answer.content_type == "application/json"


@REST
def test_rest_names_the_type_the_version_and_the_accepted_type(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        client.predict("echo", "text", version="2.0", accept="image/png", content_type="text/html")
    [request] = fake_server.requests
    assert request["path"] == "/predictions/echo/2.0"
    assert request["headers"]["Content-Type"] == "text/html"
    assert request["headers"]["Accept"] == "image/png"


@REST
def test_rest_sends_parameters_in_a_form(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        client.predict("echo", b"\xff\xd8\xff...", parameters={"top_k": 3, "deterministic": True})
    [request] = fake_server.requests
    assert request["query"] == {}
    assert request["headers"]["Content-Type"].startswith("multipart/form-data; boundary=")
    for piece in (b'name="top_k"\r\n\r\n3\r\n', b'name="deterministic"\r\n\r\ntrue\r\n',
                  b'name="data"; filename="data"\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff...\r\n'):  # fmt: skip
        assert piece in request["body"]


@REST
def test_rest_quotes_names(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        client.predict("a/b c?d", "x")
    assert fake_server.requests[0]["path"] == "/predictions/a%2Fb%20c" + "%3Fd"


@GRPC
def test_grpc_sends_everything_in_the_input_map(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        client.predict("echo", b"\xff\xd8\xff...", version="2.0", accept="image/png", parameters={"top_k": 3})
    [request] = fake_server.requests
    del request["metadata"]
    assert request == {
        "model": "echo",
        "version": "2.0",
        "input": {"body": b"\xff\xd8\xff...", "content-type": b"image/jpeg", "accept": b"image/png", "top_k": b"3"},
    }


@ALL
def test_a_image_comes_back_with_its_type(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        answer = client.predict("png", "x")
    assert answer.content_type == "image/png"
    assert answer.body.startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="decode"):
        answer.json()


@ALL
@pytest.mark.parametrize(
    ("code", "kind"),
    [(400, BadRequest), (404, NotFound), (406, NotAcceptable), (413, TooLarge), (415, UnsupportedMedia),
     (422, InvalidInput), (500, ServerError), (503, Unavailable), (507, OutOfMemory)],
)  # fmt: skip
def test_an_error_body_is_raised(fake_server: FakeServer, make: Make, code: int, kind: type[ClientError]) -> None:
    with make(fake_server.server) as client, pytest.raises(ClientError) as raised:
        client.predict(f"error-{code}", "x")
    assert type(raised.value) is kind
    assert str(raised.value) == f"{code} Kind: what and why"


@REST
def test_rest_errors_without_a_body_of_torchserve(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        with pytest.raises(TooLarge, match="max_request_size"):
            client.predict("bare-413", "x")
        with pytest.raises(ServerError, match="502 ServerError: bad gateway"):
            client.predict("plain-error", "x")
        with pytest.raises(Unreachable):
            client.predict("hang-up", "x")


@GRPC
@pytest.mark.parametrize(
    ("model", "kind", "code", "type_", "message"),
    [
        ("not-found", NotFound, 404, "ModelNotFoundException", "Model not found: x"),
        ("no-worker", Unavailable, 503, "ServiceUnavailableException", BUSY),
        ("died", ServerError, 500, "InternalServerException", "Worker died."),
        ("failed", Unavailable, 503, "InternalServerException", "Prediction\nfailed"),
        ("memory", OutOfMemory, 507, "InternalServerException", "no memory"),
        ("too-large", TooLarge, 413, "TooLarge", "Received message larger than max"),
        ("reset", TooLarge, 413, "TooLarge", "the request is larger than the server's max_request_size"),
        ("forbidden", Forbidden, 403, "ModelException", "Model API disabled"),
        ("unknown", ServerError, 500, "ServerError", "the server ended the call with UNKNOWN without a reason"),
    ],
)  # fmt: skip
def test_grpc_statuses_are_the_errors_of_rest(
    fake_server: FakeServer, make: Make, model: str, kind: type[ClientError], code: int, type_: str, message: str
) -> None:
    assert model in STATUS_OF
    with make(fake_server.server) as client, pytest.raises(ClientError) as raised:
        client.predict(model, "x")
    assert type(raised.value) is kind
    assert (raised.value.code, raised.value.type, raised.value.message) == (code, type_, message)


@ALL
def test_the_deadline_of_a_call_and_of_a_client(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server, timeout=0.3) as client:
        started = monotonic()
        with pytest.raises(DeadlineExceeded, match=r"within 0\.3 s"):
            client.predict("slow", "x")
        with pytest.raises(DeadlineExceeded, match=r"within 0\.2 s"):
            client.predict("slow", "x", timeout=0.2)
        assert monotonic() - started < 1.5


@REST
def test_the_deadline_holds_for_an_answer_that_trickles_in(fake_server: FakeServer, make: Make) -> None:
    started = monotonic()
    with make(fake_server.server) as client, pytest.raises(DeadlineExceeded):
        client.predict("trickle", "x", timeout=0.4)
    assert monotonic() - started < 1.5


@ALL
def test_nothing_listens(fake_server: FakeServer, make: Make) -> None:
    dead = dataclasses.replace(fake_server.server, inference="http://127.0.0.1:9", grpc="127.0.0.1:9")
    with make(dead) as client, pytest.raises(Unreachable, match="Connection refused") as raised:
        client.predict("echo", "x")
    assert raised.value.code == 503


@ALL
def test_the_environment_s_proxy_is_not_used(
    fake_server: FakeServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with make(fake_server.server) as client:
        assert sent(client.predict("echo", "x")) == b"x"


@REST
def test_rest_keeps_its_connection(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        for _ in range(5):
            client.predict("echo", "x")
    assert fake_server.connections == 1


@BOTH
def test_threads_share_a_client(fake_server: FakeServer, make: Make) -> None:
    answers: dict[int, bytes] = {}
    with make(fake_server.server) as client:

        def ask(number: int) -> None:
            answers[number] = sent(client.predict("echo", [number]))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {number: b"[%d]" % number for number in range(16)}
