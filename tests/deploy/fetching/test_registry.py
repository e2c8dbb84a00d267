"""Archives from an OCI registry, put there by the registry project's own client."""

import base64
import hashlib
import json
from pathlib import Path

import oras.client
import pytest
import requests

from deploy.errors import DeployError
from deploy.fetching.command import fetch_all
from deploy.fetching.download import fetch
from deploy.fetching.registry import OciBlob
from deploy.fetching.source import Source
from tests.deploy.fetching.conftest import CONTENT, DIGEST, NAME, PIN, Progress, files, partial_of, registry_in, run
from trust import signature
from trust.keys import PrivateKey

ACCEPT = "application/vnd.oci.image.manifest.v1+json"


USER, PASSWORD = "user", "password-of-the-test"
HASH = "$2b$05$abcdefghijklmnopqrstuuh6vlx8EGBpVnlhK8aZDE.HORtD3Hyy6"  # bcrypt's, of that password


def push(
    registry: str, folder: Path, *names: str, repository: str = "team/tiny", tag: str = "1.0", password: str = ""
) -> str:
    target = f"{registry}/{repository}:{tag}"
    layers = [f"{folder / name}:application/zip" for name in names]
    client = oras.client.OrasClient(insecure=True, auth_backend="basic" if password else "token")
    if password:
        client.auth.set_basic_auth(USER, password)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        client.push(target, files=[f"{name}:application/zip" for name in names], disable_path_validation=True)
    assert layers
    return f"oci://{target}"


@pytest.fixture
def url(registry: str, tmp_path: Path) -> str:
    (tmp_path / NAME).write_bytes(CONTENT)
    return push(registry, tmp_path, NAME)


def test_an_archive_from_a_registry(url: str, store: Path) -> None:
    progress = Progress()
    assert fetch(Source.parse(url + PIN), store, progress).read_bytes() == CONTENT
    assert files(store) == [NAME]
    assert progress.sizes[-1] == len(CONTENT)


def test_it_goes_on_where_it_was_broken_off(url: str, store: Path) -> None:
    partial_of(store, CONTENT[: 9 << 20])
    progress = Progress()
    assert fetch(Source.parse(url + PIN), store, progress).read_bytes() == CONTENT
    assert min(progress.sizes) > 9 << 20


def test_by_the_digest_of_its_manifest(url: str, registry: str, store: Path) -> None:
    address = f"http://{registry}/v2/team/tiny/manifests/1.0"
    content = requests.get(address, headers={"Accept": ACCEPT}, timeout=10).content
    digest = hashlib.sha256(content).hexdigest()
    pinned = f"oci://{registry}/team/tiny@sha256:{digest}{PIN}"
    assert fetch(Source.parse(pinned), store, Progress()).read_bytes() == CONTENT


def test_a_layer_that_is_not_the_pinned_one(url: str, store: Path) -> None:
    with pytest.raises(DeployError, match=f"is sha256:{DIGEST}; wanted sha256:{'0' * 64}"):
        fetch(Source.parse(f"{url}#sha256={'0' * 64}"), store, Progress())


def test_a_signature_is_a_layer_beside_it(registry: str, tmp_path: Path, store: Path) -> None:
    key = PrivateKey.generate()
    (tmp_path / NAME).write_bytes(CONTENT)
    signature.sign(tmp_path / NAME, key)
    url = push(registry, tmp_path, NAME, f"{NAME}.sig", repository="team/signed")
    assert fetch(Source.parse(url + PIN), store, Progress(), [key.public]) == store / NAME
    assert signature.verify(store / NAME, [key.public]) == key.public


def test_an_artifact_without_an_archive_or_with_two(registry: str, tmp_path: Path) -> None:
    for name in ("a.mar", "b.mar", "c.txt"):
        (tmp_path / name).write_bytes(CONTENT[:100])
    for names in (("c.txt",), ("a.mar", "b.mar")):
        url = push(registry, tmp_path, *names, repository="team/wrong", tag=str(len(names)))
        with pytest.raises(DeployError, match=r"wanted exactly one layer named NAME\.mar; got"):
            OciBlob(Source.parse(url + PIN))


def test_a_tag_that_is_not_there(registry: str, store: Path) -> None:
    with pytest.raises(DeployError, match="is not there"):
        fetch(Source.parse(f"oci://{registry}/team/none:1{PIN}"), store, Progress())


def test_what_the_store_has_needs_no_registry(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.fetching.download.PAUSE", 0)
    (tmp_path / NAME).write_bytes(CONTENT)
    (tmp_path / "registry").mkdir()
    with registry_in(tmp_path / "registry") as address:
        url = push(address, tmp_path, NAME)
        fetch(Source.parse(url + PIN), store, Progress())
    assert fetch(Source.parse(url + PIN), store, Progress()) == store / NAME
    (store / NAME).write_bytes(b"damaged")
    with pytest.raises(DeployError, match="cannot be fetched"):
        fetch(Source.parse(url + PIN), store, Progress())


def test_credentials_are_docker_s_own(tmp_path: Path, store: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    for folder in ("registry", "docker"):
        (tmp_path / folder).mkdir()
    with registry_in(tmp_path / "registry", f"{USER}:{HASH}\n") as address:
        url = push(address, tmp_path, NAME, password=PASSWORD)
        for password, code in (("another", 1), (PASSWORD, 0)):
            login = base64.b64encode(f"{USER}:{password}".encode()).decode()
            (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {address: {"auth": login}}}))
            done = run(store, url + PIN, DOCKER_CONFIG=str(tmp_path / "docker"))
            assert done.returncode == code, done.stderr
            assert password not in done.stdout + done.stderr
            if code:
                assert done.stderr == f"fetch: {url} cannot be read with the credentials found, if any\n"
    assert (store / NAME).read_bytes() == CONTENT


def test_two_artifacts_with_an_archive_of_one_name(registry: str, tmp_path: Path, store: Path) -> None:
    """The first is fetched before the registry says what the second is called; it is not lost for it."""
    (tmp_path / "other").mkdir()
    for folder, content in ((tmp_path, CONTENT), (tmp_path / "other", b"other")):
        (folder / NAME).write_bytes(content)
    first = push(registry, tmp_path, NAME, tag="first")
    other = push(registry, tmp_path / "other", NAME, tag="other")
    with pytest.raises(DeployError, match="have the same name"):
        fetch_all([first + PIN, f"{other}#sha256={hashlib.sha256(b'other').hexdigest()}"], store)
    assert (store / NAME).read_bytes() == CONTENT
    assert files(store) == [NAME]
