"""The files of the edge: its callers, its certificate, and what its limits add up to."""

import os
import time
from pathlib import Path

import pytest
from cryptography import x509

from deploy.configuration import read
from deploy.edge import certificate, clients, settings_file
from deploy.edge.limits import SIZES
from deploy.errors import DeployError


def test_the_bodies_in_flight_fit_into_a_heap_of_1_gb() -> None:
    assert 2 * sum(size.bytes for size in SIZES) < 0.8 * 2**30  # on both protocols at once
    assert 10 ** SIZES[-1].digits > int(read()["max_request_size"])


def test_clients_are_made_once(tmp_path: Path) -> None:
    made = clients.ensure(tmp_path / "clients.yaml")
    assert clients.ensure(tmp_path / "clients.yaml") == made
    assert {name: client.admin for name, client in made.clients.items()} == {"default": False, "admin": True}
    assert made.clients["admin"].key not in repr(made)
    assert made.allowed_origins == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clients: {a: {key: short}}", "clients.a.key"),
        ("clients: {}", "clients"),
        ("clients: {A B: {key: aaaaaaaaaaaaaaaaaaaaaaaa, rate: 3}}", "clients.A B"),
        ("clients: {a: {key: aaaaaaaaaaaaaaaaaaaaaaaa}, b: {key: aaaaaaaaaaaaaaaaaaaaaaaa}}", "the same key"),
        ("clients: {a: {key: aaaaaaaaaaaaaaaaaaaaaaaa}}\nallowed_origins: ['*']", "allowed_origins.0"),
        (
            "clients: {a: {key: aaaaaaaaaaaaaaaaaaaaaaaa}}\nallowed_origins: [https://a.example/page]",
            "allowed_origins.0",
        ),
        ("clients: [", "is not YAML"),
        ("clients: " + "[" * 200_000, "nested more than 64 deep"),
        (
            "clients: {a: {key: aaaaaaaaaaaaaaaaaaaaaaaa}}\nclients: {}\n",
            "line 2: is not YAML: key 'clients' occurs twice",
        ),
        ("clients: &a {a: *a}", "nested more than 64 deep"),
        ("clients: {a: {key: !!int aaaaaaaaaaaaaaaaaaaaaaaa}}", "a value is not a valid int"),
        ("# " + "x" * (256 << 10), "has more than 262144 bytes"),
        ("clients: 2020-99-99", "is not YAML"),
        ("clients: " + "9" * 5000, "is not YAML"),
        ("", "clients.yaml"),
    ],
)
def test_a_wrong_clients_file(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text(text)
    started = time.process_time()
    with pytest.raises(DeployError) as raised:
        settings_file.read(path, clients.Clients)
    assert said in str(raised.value)
    assert "aaaaaaaa" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert time.process_time() - started < 3


def test_a_clients_file_that_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "", "missing"):
        with pytest.raises(DeployError, match="is not a file"):
            settings_file.read(tmp_path / name, clients.Clients)


def test_a_certificate_is_made_once_and_is_for_its_names(tmp_path: Path) -> None:
    certificate.ensure(tmp_path, ["localhost", "127.0.0.1"])
    data = (tmp_path / "tls.crt").read_bytes()
    names = x509.load_pem_x509_certificate(data).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(each) for each in names.value.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    certificate.ensure(tmp_path, ["elsewhere"])
    assert (tmp_path / "tls.crt").read_bytes() == data
