"""A caller that sends what no client of ours would."""

import json
import socket
import ssl
from pathlib import Path
from typing import Any

import grpc
import requests

from client.rpc import channel
from deploy.run_folder import public_server

MODELS = ("tiny-policy", "tiny-writer", "tiny-embedding", "tiny-whisper")
EXPLAINED = "tiny-topics"  # with workers for its explanations
ORIGIN = "https://app.example.org"  # whose pages may ask
SLOW = "slow-" * 8
OBSERVATION = {"data": [0.1, 0.2, 0.3, 0.4]}
SERVICES = {"inference": "InferenceAPIsService", "management": "ManagementAPIsService"}


class Caller:
    """Requests as no client of ours would send them.

    keys: "inference", a caller's, "management", an admin's, and "slow", of a caller with one call a second.
    """

    def __init__(self, run: Path) -> None:
        keys = json.loads((run / "edge_keys.json").read_text())
        self.server = public_server(run)
        self.keys = {name: f"Bearer {keys[name]['key']}" for name in ("inference", "management")}
        self.keys["slow"] = f"Bearer {SLOW}"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(self.server.ca_file)
        self.channel = channel(self.server.grpc, self.server)

    def rest(self, method: str, path: str, key: str = "inference", **request: Any) -> requests.Response:
        headers = {"Authorization": self.keys[key], **request.pop("headers", {})} if key else request.pop("headers", {})
        prepared = self.session.prepare_request(
            requests.Request(method, self.server.inference, headers=headers, **request)
        )
        prepared.url = f"{self.server.inference}{path}"  # requests would tidy it up
        return self.session.send(prepared, timeout=60)

    def rpc(self, method: str, message: bytes, key: str = "inference", timeout: float = 60) -> tuple[str, str]:
        """The status and message of a call with one message of these bytes."""
        service = f"/org.pytorch.serve.grpc.{key}.{SERVICES[key]}/{method}"
        metadata = (("authorization", self.keys[key]),)
        try:
            for _ in self.channel.unary_stream(service)(message, metadata=metadata, timeout=timeout):
                pass
        except grpc.RpcError as error:
            return error.code().name, error.details() or ""
        return "OK", ""

    def secure(self, protocol: str) -> ssl.SSLSocket:
        """A connection on which anything can be written. protocol: h2 or http/1.1."""
        context = ssl.create_default_context(cafile=str(self.server.ca_file))
        context.set_alpn_protocols([protocol])
        host, _, port = self.server.grpc.partition(":")
        return context.wrap_socket(socket.create_connection((host, int(port)), timeout=20), server_hostname=host)


def assert_form(answer: requests.Response, code: int, type: str) -> None:
    assert (answer.status_code, answer.json()["code"], answer.json()["type"]) == (code, code, type), answer.text
    assert 0 < len(answer.json()["message"]) <= 300


def field(number: int, value: bytes, padding: int = 0) -> bytes:
    """A field of bytes; padding: of its two numbers, bytes that mean nothing."""
    return varint(number * 8 + 2, padding) + varint(len(value), padding) + value


def varint(value: int, padding: int = 0) -> bytes:
    assert value < 128
    return bytes([value + 128, *[128] * (padding - 1), 0]) if padding else bytes([value])
