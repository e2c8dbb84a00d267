"""`./bundle deploy manifests`: folders of one's own, and a Secret that nobody else reads."""

from pathlib import Path

import pytest
import yaml
from cryptography import x509
from typer.testing import CliRunner

from deploy.configuration import PROJECT
from deploy.edge.clients import Clients
from deploy.versions.command import app

RUNNER = CliRunner()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("option", "folder"), [("--helm", "chart"), ("--kustomize", "kustomize"), ("--kserve", "kserve")]
)
def test_each_kind_is_written_as_it_is_here(option: str, folder: str, tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["manifests", str(tmp_path), option])
    assert done.exit_code == 0, done.output
    assert [path.name for path in tmp_path.iterdir()] == [folder]
    assert files(tmp_path / folder) == files(PROJECT / "kubernetes" / folder)


def test_a_secret_has_new_keys_and_a_certificate_for_its_hosts(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        arguments = ["manifests", str(tmp_path / name), "--secret", "models.example.org,localhost", "--name", "keys"]
        done = RUNNER.invoke(app, arguments)
        assert done.exit_code == 0, done.output
        path = tmp_path / name / "secret.yaml"
        assert path.stat().st_mode & 0o777 == 0o600
        found.append(yaml.safe_load(path.read_text()))
        assert "key:" not in done.output
    [first, second] = found
    assert first["metadata"]["name"] == "keys"
    assert first["stringData"].keys() == {"clients.yaml", "tls.crt", "tls.key"}
    keys = [Clients.model_validate(yaml.safe_load(each["stringData"]["clients.yaml"])) for each in found]
    assert not {client.key for client in keys[0].clients.values()} & {client.key for client in keys[1].clients.values()}
    certificate = x509.load_pem_x509_certificate(second["stringData"]["tls.crt"].encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["models.example.org", "localhost"]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    for _ in range(2):
        done = RUNNER.invoke(app, ["manifests", str(tmp_path), "--kserve"])
    assert done.exit_code == 1
    assert "exists" in done.output


def test_nothing_asked_for_is_an_error(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["manifests", str(tmp_path)])
    assert done.exit_code == 1
    assert "--helm, --kustomize, --kserve or --secret" in done.output


@pytest.mark.parametrize("hosts", ["", "a,,b", "a b", "https://a", "a:443", "mödel.example.org", "a.*.b", "a" * 64])
def test_what_is_no_host_is_refused_before_anything_is_written(hosts: str, tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["manifests", str(tmp_path / "out"), "--helm", "--secret", hosts])
    assert done.exit_code == 1
    assert "a certificate is for host names" in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "hosts", [f"{'a' * 60}.{'b' * 60}.example.org", "*.example.org,127.0.0.1,::1", "xn--mdel-5qa.example"]
)
def test_hosts_of_any_length_and_kind(hosts: str, tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["manifests", str(tmp_path), "--secret", hosts])
    assert done.exit_code == 0, done.output
    made = yaml.safe_load((tmp_path / "secret.yaml").read_text())["stringData"]["tls.crt"]
    names = x509.load_pem_x509_certificate(made.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(name.value) for name in names.value] == hosts.split(",")


@pytest.mark.parametrize("name", ["", "Torchserve", "a_b", "a b", "-a", "a" * 254, "a: b"])
def test_a_name_that_no_secret_can_have(name: str, tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["manifests", str(tmp_path / "out"), "--secret", "localhost", "--name", name])
    assert done.exit_code == 1
    assert "as Secrets are called" in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["true", "007", "a.b-c"])
def test_a_name_that_yaml_would_take_for_something_else(name: str, tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["manifests", str(tmp_path), "--secret", "localhost", "--name", name])
    assert done.exit_code == 0, done.output
    assert yaml.safe_load((tmp_path / "secret.yaml").read_text())["metadata"]["name"] == name


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = RUNNER.invoke(app, ["manifests", str(tmp_path / "file"), "--helm"])
    assert done.exit_code == 1
    assert "Traceback" not in done.output
