"""Keys: found, renewed when the server refuses them, never shown."""

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from client import GrpcClient, GrpcManagement, RestClient, RestManagement, Unauthorized
from client.credentials import Credentials
from tests.client.fake_server import FakeServer
from tests.client.waiting import Make, Waiting, async_grpc, async_rest


def one(client: Waiting) -> object:
    with client:
        return client.predict("echo", "x")


def pieces(client: Waiting) -> object:
    with client:
        return list(client.stream("echo", "x"))


CALLS: dict[str, Callable[[FakeServer], object]] = {
    "rest": lambda fake_server: RestClient(fake_server.server).predict("echo", "x"),
    "async rest": lambda fake_server: one(async_rest(fake_server.server)),
    "async grpc": lambda fake_server: one(async_grpc(fake_server.server)),
    "async stream": lambda fake_server: pieces(async_grpc(fake_server.server)),
    "grpc": lambda fake_server: GrpcClient(fake_server.server).predict("echo", "x"),
    "stream": lambda fake_server: list(GrpcClient(fake_server.server).stream("echo", "x")),
    "rest management": lambda fake_server: RestManagement(fake_server.server).list_models(),
    "grpc management": lambda fake_server: GrpcManagement(fake_server.server).list_models(),
}
BOTH = pytest.mark.parametrize("make", [RestClient, GrpcClient, async_rest, async_grpc])


@pytest.mark.parametrize("call", CALLS)
def test_an_expired_key_is_renewed(fake_server: FakeServer, call: str) -> None:
    fake_server.expire("management" if "management" in call else "inference")
    assert CALLS[call](fake_server)
    assert fake_server.asked == 1


@BOTH
def test_a_key_another_process_has_got_is_taken_from_the_file(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        client.predict("echo", "x")
        fake_server.new_key("inference")
        client.predict("echo", "x")
    assert fake_server.asked == 1


@BOTH
def test_the_key_in_the_file_may_have_expired_too(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        client.predict("echo", "x")
        fake_server.new_key("inference")
        fake_server.expire("inference")
        client.predict("echo", "x")
    assert fake_server.asked == 2


@BOTH
def test_a_server_that_was_started_again_has_new_keys(fake_server: FakeServer, make: Make) -> None:
    with make(fake_server.server) as client:
        client.predict("echo", "x")
        for name in fake_server.keys:
            fake_server.expire(name)
        fake_server.write_keys()
        client.predict("echo", "x")
    assert fake_server.asked == 0


def test_clients_do_not_end_each_other_s_keys(fake_server: FakeServer) -> None:
    clients = [(RestClient, GrpcClient)[number % 2](fake_server.server) for number in range(8)]
    for client in clients:
        client.predict("echo", "x")
    fake_server.expire("inference")
    failures: list[Exception] = []

    def ask(client: RestClient | GrpcClient) -> None:
        try:
            client.predict("echo", "x")
        except Unauthorized as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert fake_server.asked == 1


@BOTH
def test_a_key_refused_for_good(fake_server: FakeServer, make: Make) -> None:
    fake_server.keys["API"] = "changed"
    fake_server.expire("inference")
    with make(fake_server.server) as client, pytest.raises(Unauthorized, match="refuses the API key") as raised:
        client.predict("echo", "x")
    assert str(fake_server.key_file) in str(raised.value)


@BOTH
def test_a_server_that_asks_for_a_key_nobody_knows(fake_server: FakeServer, make: Make) -> None:
    keyless = dataclasses.replace(fake_server.server, key_file=None)
    with make(keyless) as client, pytest.raises(Unauthorized, match="no key file is known"):
        client.predict("echo", "x")


def test_no_key_file_no_header(fake_server: FakeServer) -> None:
    assert Credentials(dataclasses.replace(fake_server.server, key_file=None)).bearer("inference") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"inference": {"key": "secret-1"}}'])
def test_a_file_without_keys(fake_server: FakeServer, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.credentials.PAUSE", 0.001)
    fake_server.key_file.write_text(text)
    with pytest.raises(Unauthorized, match="is not a key file") as raised:
        Credentials(fake_server.server).bearer("inference")
    assert "secret" not in str(raised.value)


def test_a_file_that_is_being_written_is_read_again(fake_server: FakeServer) -> None:
    whole = fake_server.key_file.read_text()
    fake_server.key_file.write_text(whole[:40])
    writer = threading.Timer(0.15, lambda: fake_server.key_file.write_text(whole))
    writer.start()
    assert Credentials(fake_server.server).bearer("inference") == f"Bearer {fake_server.keys['inference']}"
    writer.join()


def test_a_missing_file(fake_server: FakeServer, tmp_path: Path) -> None:
    gone = dataclasses.replace(fake_server.server, key_file=tmp_path / "gone.json")
    with pytest.raises(Unauthorized, match=r"gone\.json: No such file"):
        Credentials(gone).bearer("inference")


def test_keys_are_never_shown(fake_server: FakeServer) -> None:
    keys = [entry["key"] for entry in json.loads(fake_server.key_file.read_text()).values()]
    fake_server.keys = dict.fromkeys(fake_server.keys, "changed")
    shown = []
    for make in (RestClient, GrpcClient, RestManagement, GrpcManagement):
        client = make(fake_server.server)
        client._credentials.bearer("inference")
        with pytest.raises(Unauthorized) as raised:
            client.predict("echo", "x") if isinstance(client, (RestClient, GrpcClient)) else client.list_models()
        shown += [repr(client), repr(vars(client)), str(raised.value), repr(raised.value), repr(raised.getrepr())]
    assert not [key for key in keys if any(key in text for text in shown)]
