"""Archives from Azure's and Google's stores, as their emulators answer: whole, resumed, missing, damaged, signed."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.errors import DeployError
from deploy.fetching.download import fetch
from deploy.fetching.source import Source
from tests.deploy.fetching.conftest import BUCKET, CONTENT, DIGEST, NAME, PIN, Progress, files, partial_of
from tests.deploy.fetching.emulators import CONNECTION, KEY, Emulator, azure, google
from trust import signature
from trust.keys import PrivateKey


@pytest.fixture(scope="module", params=[azure, google], ids=["az", "gs"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with request.param(tmp_path_factory.mktemp("emulator")) as made:
        yield made


@pytest.fixture
def emulator(running: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    for name, value in running.variables.items():
        monkeypatch.setenv(name, value)
    return running


@pytest.fixture
def url(emulator: Emulator) -> str:
    return f"{emulator.scheme}://{BUCKET}/a/{NAME}"


def test_an_archive_from_it(url: str, store: Path, caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress()
    path = fetch(Source.parse(url + PIN), store, progress)
    assert path.read_bytes() == CONTENT
    assert files(store) == [NAME]
    assert progress.sizes[-1] == len(CONTENT)
    assert caplog.messages == []


def test_it_goes_on_where_it_was_broken_off(url: str, store: Path) -> None:
    partial_of(store, CONTENT[: 9 << 20])
    progress = Progress()
    assert fetch(Source.parse(url + PIN), store, progress).read_bytes() == CONTENT
    assert min(progress.sizes) > 9 << 20


def test_other_bytes_than_the_pinned_ones_leave_nothing(url: str, store: Path) -> None:
    with pytest.raises(DeployError, match=f"has the SHA-256 {DIGEST}; wanted {'0' * 64}"):
        fetch(Source.parse(f"{url}#sha256={'0' * 64}"), store, Progress())
    assert files(store) == []


@pytest.mark.parametrize("path", [f"{BUCKET}/none/{NAME}", f"no-such-bucket/{NAME}"])
def test_an_archive_that_is_not_there(emulator: Emulator, store: Path, path: str) -> None:
    with pytest.raises(DeployError, match="is not there"):
        fetch(Source.parse(f"{emulator.scheme}://{path}{PIN}"), store, Progress())


def test_a_signature_comes_along_and_is_checked(url: str, emulator: Emulator, store: Path, tmp_path: Path) -> None:
    key = PrivateKey.generate()
    (tmp_path / NAME).write_bytes(CONTENT)
    emulator.put(f"signed/{NAME}", CONTENT)
    emulator.put(f"signed/{NAME}.sig", signature.sign(tmp_path / NAME, key).read_bytes())
    source = Source.parse(url.replace("/a/", "/signed/") + PIN)
    assert fetch(source, store, Progress(), [key.public]) == store / NAME
    assert signature.verify(store / NAME, [key.public]) == key.public
    with pytest.raises(DeployError, match="is not trusted"):
        fetch(source, tmp_path / "other", Progress(), [PrivateKey.generate().public])
    assert files(tmp_path / "other") == []


@pytest.mark.parametrize("running", [azure], indirect=True)
def test_credentials_that_do_not_open_it_are_said_at_once(
    url: str, emulator: Emulator, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Google's emulator asks for none."""
    other = base64.b64encode(b"x" * 32).decode()
    monkeypatch.setenv(CONNECTION, emulator.variables[CONNECTION].replace(KEY, other))
    monkeypatch.setattr("deploy.fetching.download.PAUSE", 1e6)
    with pytest.raises(DeployError, match="cannot be read with the credentials found") as raised:
        fetch(Source.parse(url + PIN), store, Progress())
    assert other not in str(raised.value)


@pytest.mark.parametrize("running", [azure], indirect=True)
def test_without_an_account(url: str, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONNECTION)
    monkeypatch.setattr("deploy.fetching.download.PAUSE", 1e6)
    with pytest.raises(DeployError, match=r"cannot be fetched: .*account_name"):
        fetch(Source.parse(url + PIN), store, Progress())
