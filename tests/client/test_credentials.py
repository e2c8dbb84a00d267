"""Keys: found, renewed when the server refuses them, never shown."""

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from client import GrpcClient, GrpcManagement, RestClient, RestManagement, Unauthorized
from client.credentials import Credentials
from tests.client.peer import Peer

CALLS: dict[str, Callable[[Peer], object]] = {
    "rest": lambda peer: RestClient(peer.server).predict("echo", "x"),
    "grpc": lambda peer: GrpcClient(peer.server).predict("echo", "x"),
    "stream": lambda peer: list(GrpcClient(peer.server).stream("echo", "x")),
    "rest management": lambda peer: RestManagement(peer.server).list_models(),
    "grpc management": lambda peer: GrpcManagement(peer.server).list_models(),
}
BOTH = pytest.mark.parametrize("make", [RestClient, GrpcClient])


@pytest.mark.parametrize("call", CALLS)
def test_an_expired_key_is_renewed(peer: Peer, call: str) -> None:
    peer.expire("management" if "management" in call else "inference")
    assert CALLS[call](peer)
    assert peer.asked == 1


@BOTH
def test_a_key_another_process_has_got_is_taken_from_the_file(peer: Peer, make: type[RestClient]) -> None:
    with make(peer.server) as client:
        client.predict("echo", "x")
        peer.new_key("inference")
        client.predict("echo", "x")
    assert peer.asked == 1


@BOTH
def test_the_key_in_the_file_may_have_expired_too(peer: Peer, make: type[RestClient]) -> None:
    with make(peer.server) as client:
        client.predict("echo", "x")
        peer.new_key("inference")
        peer.expire("inference")
        client.predict("echo", "x")
    assert peer.asked == 2


@BOTH
def test_a_server_that_was_started_again_has_new_keys(peer: Peer, make: type[RestClient]) -> None:
    with make(peer.server) as client:
        client.predict("echo", "x")
        for name in peer.keys:
            peer.expire(name)
        peer.write_keys()
        client.predict("echo", "x")
    assert peer.asked == 0


def test_clients_do_not_end_each_other_s_keys(peer: Peer) -> None:
    clients = [(RestClient, GrpcClient)[number % 2](peer.server) for number in range(8)]
    for client in clients:
        client.predict("echo", "x")
    peer.expire("inference")
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
    assert peer.asked == 1


@BOTH
def test_a_key_refused_for_good(peer: Peer, make: type[RestClient]) -> None:
    peer.keys["API"] = "changed"
    peer.expire("inference")
    with make(peer.server) as client, pytest.raises(Unauthorized, match="refuses the API key") as raised:
        client.predict("echo", "x")
    assert str(peer.key_file) in str(raised.value)


@BOTH
def test_a_server_that_asks_for_a_key_nobody_knows(peer: Peer, make: type[RestClient]) -> None:
    keyless = dataclasses.replace(peer.server, key_file=None)
    with make(keyless) as client, pytest.raises(Unauthorized, match="no key file is known"):
        client.predict("echo", "x")


def test_no_key_file_no_header(peer: Peer) -> None:
    assert Credentials(dataclasses.replace(peer.server, key_file=None)).bearer("inference") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"inference": {"key": "secret-1"}}'])
def test_a_file_without_keys(peer: Peer, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.credentials.PAUSE", 0.001)
    peer.key_file.write_text(text)
    with pytest.raises(Unauthorized, match="is not a key file") as raised:
        Credentials(peer.server).bearer("inference")
    assert "secret" not in str(raised.value)


def test_a_file_that_is_being_written_is_read_again(peer: Peer) -> None:
    whole = peer.key_file.read_text()
    peer.key_file.write_text(whole[:40])
    writer = threading.Timer(0.15, lambda: peer.key_file.write_text(whole))
    writer.start()
    assert Credentials(peer.server).bearer("inference") == f"Bearer {peer.keys['inference']}"
    writer.join()


def test_a_missing_file(peer: Peer, tmp_path: Path) -> None:
    gone = dataclasses.replace(peer.server, key_file=tmp_path / "gone.json")
    with pytest.raises(Unauthorized, match=r"gone\.json: No such file"):
        Credentials(gone).bearer("inference")


def test_keys_are_never_shown(peer: Peer) -> None:
    keys = [entry["key"] for entry in json.loads(peer.key_file.read_text()).values()]
    peer.keys = dict.fromkeys(peer.keys, "changed")
    shown = []
    for make in (RestClient, GrpcClient, RestManagement, GrpcManagement):
        client = make(peer.server)
        client._credentials.bearer("inference")
        with pytest.raises(Unauthorized) as raised:
            client.predict("echo", "x") if isinstance(client, (RestClient, GrpcClient)) else client.list_models()
        shown += [repr(client), repr(vars(client)), str(raised.value), repr(raised.value), repr(raised.getrepr())]
    assert not [key for key in keys if any(key in text for text in shown)]
