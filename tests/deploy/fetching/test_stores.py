"""Archives from an S3 store and from files: whole, resumed, damaged, missing, signed."""

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import DeployError
from deploy.fetching.command import fetch_all
from deploy.fetching.download import fetch
from deploy.fetching.source import Source
from tests.deploy.fetching.conftest import (
    BUCKET,
    CONTENT,
    DIGEST,
    NAME,
    PIN,
    Progress,
    files,
    partial_of,
    run_on_small_disk,
)
from trust import signature
from trust.keys import PrivateKey

URL = f"s3://{BUCKET}/a/{NAME}"


def test_an_archive_from_s3(s3: Any, store: Path) -> None:
    progress = Progress()
    path = fetch(Source.parse(URL + PIN), store, progress)
    assert path.read_bytes() == CONTENT
    assert files(store) == [NAME]
    assert progress.sizes == sorted(progress.sizes)
    assert progress.sizes[-1] == len(CONTENT)
    assert path.stat().st_mode & 0o777 == 0o644


def test_what_is_there_is_not_read_again(s3: Any, store: Path) -> None:
    fetch(Source.parse(URL + PIN), store, Progress())
    again = Progress()
    fetch(Source.parse(URL + PIN), store, again)
    assert again.sizes == []


def test_it_goes_on_where_it_was_broken_off(s3: Any, store: Path) -> None:
    partial_of(store, CONTENT[: 9 << 20])
    progress = Progress()
    assert fetch(Source.parse(URL + PIN), store, progress).read_bytes() == CONTENT
    assert min(progress.sizes) > 9 << 20
    assert files(store) == [NAME]


@pytest.mark.parametrize("left", [b"x" * (9 << 20), CONTENT + b"x", CONTENT[:-1] + b"x"])
def test_a_beginning_that_does_not_fit_is_dropped(s3: Any, store: Path, left: bytes) -> None:
    partial_of(store, left)
    assert fetch(Source.parse(URL + PIN), store, Progress()).read_bytes() == CONTENT
    assert files(store) == [NAME]


def test_other_bytes_than_the_pinned_ones_do_not_reach_the_store(s3: Any, store: Path) -> None:
    store.mkdir()
    (store / NAME).write_bytes(b"the one before")
    s3.put_object(Bucket=BUCKET, Key=f"a/{NAME}", Body=CONTENT[:-1] + b"x")
    with pytest.raises(DeployError, match=f"has the SHA-256 [0-9a-f]{{64}}; wanted {DIGEST}"):
        fetch(Source.parse(URL + PIN), store, Progress())
    assert (store / NAME).read_bytes() == b"the one before"
    assert files(store) == [NAME]


def test_another_version_takes_the_place_of_the_one_that_is_there(s3: Any, store: Path) -> None:
    store.mkdir()
    (store / NAME).write_bytes(b"the one before")
    assert fetch(Source.parse(URL + PIN), store, Progress()).read_bytes() == CONTENT


@pytest.mark.parametrize("length", [0, 9 << 20, len(CONTENT) - 1])
def test_one_that_was_cut_short_does_not_reach_the_store(s3: Any, store: Path, length: int) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"a/{NAME}", Body=CONTENT[:length])
    with pytest.raises(DeployError, match=f"wanted {DIGEST}"):
        fetch(Source.parse(URL + PIN), store, Progress())
    assert files(store) == []


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_not_a_file_is_refused(store: Path, tmp_path: Path, kind: str) -> None:
    """A pipe would never end."""
    path = tmp_path / NAME
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "device": lambda: path.symlink_to("/dev/zero")}[kind]()
    with pytest.raises(DeployError, match="is not a file"):
        fetch(Source.parse(f"file://{path}{PIN}"), store, Progress())
    assert not store.exists()


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(tmp_path: Path, store: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    done = run_on_small_disk(store, f"file://{tmp_path / NAME}{PIN}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"fetch: {NAME} needs {len(CONTENT)} more bytes of disk space; ")


@pytest.mark.parametrize("url", [f"s3://{BUCKET}/none/{NAME}", f"s3://no-such-bucket/{NAME}", f"file:///none/{NAME}"])
def test_an_archive_that_is_not_there(s3: Any, store: Path, url: str) -> None:
    with pytest.raises(DeployError, match="is not there"):
        fetch(Source.parse(url + PIN), store, Progress())


def test_two_at_once_share_a_store(s3: Any, store: Path) -> None:
    """As replicas with one volume."""
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(Source.parse(URL + PIN), store, Progress()))) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [store / NAME] * 2
    assert (store / NAME).read_bytes() == CONTENT
    assert files(store) == [NAME]


@pytest.fixture
def key(tmp_path: Path) -> PrivateKey:
    return PrivateKey.generate()


def signed(folder: Path, key: PrivateKey) -> bytes:
    (folder / NAME).write_bytes(CONTENT)
    return signature.sign(folder / NAME, key).read_bytes()


def test_a_signature_comes_along_and_is_checked(s3: Any, store: Path, tmp_path: Path, key: PrivateKey) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"a/{NAME}.sig", Body=signed(tmp_path, key))
    try:
        assert fetch(Source.parse(URL + PIN), store, Progress(), [key.public]) == store / NAME
        assert files(store) == [NAME, f"{NAME}.sig"]
        assert signature.verify(store / NAME, [key.public]) == key.public
        with pytest.raises(DeployError, match="is not trusted"):
            fetch(Source.parse(URL + PIN), tmp_path / "other", Progress(), [PrivateKey.generate().public])
        assert files(tmp_path / "other") == []
    finally:
        s3.delete_object(Bucket=BUCKET, Key=f"a/{NAME}.sig")


def test_without_a_signature_where_one_is_wanted(s3: Any, store: Path, key: PrivateKey) -> None:
    with pytest.raises(DeployError, match="is not signed"):
        fetch(Source.parse(URL + PIN), store, Progress(), [key.public])
    assert files(store) == []


def test_a_signature_that_is_too_long_is_not_read(tmp_path: Path, store: Path, key: PrivateKey) -> None:
    signed(tmp_path, key)
    with signature.path_of(tmp_path / NAME).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DeployError, match="is longer than"):
        fetch(Source.parse(f"file://{tmp_path / NAME}{PIN}"), store, Progress(), [key.public])
    assert files(store) == []


def test_one_after_the_other_from_files(tmp_path: Path, store: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    url = f"file://{tmp_path / NAME}{PIN}"
    assert fetch_all([url, url], store) == [store / NAME]
    assert (store / NAME).read_bytes() == CONTENT


def test_what_the_store_has_needs_nobody_else(tmp_path: Path, store: Path, key: PrivateKey) -> None:
    """So a server starts again while the store that its archives came from is away."""
    signed(tmp_path, key)
    source = Source.parse(f"file://{tmp_path / NAME}{PIN}")
    fetch(source, store, Progress(), [key.public])
    for path in (tmp_path / NAME, signature.path_of(tmp_path / NAME)):
        path.unlink()
    assert fetch(source, store, Progress()) == fetch(source, store, Progress(), [key.public]) == store / NAME
    with pytest.raises(DeployError, match="is not there"):  # a signature by another key might be
        fetch(source, store, Progress(), [PrivateKey.generate().public])
    (store / NAME).write_bytes(b"damaged")
    with pytest.raises(DeployError, match="is not there"):
        fetch(source, store, Progress())


def test_two_archives_of_one_name_are_refused_before_one_is_fetched(tmp_path: Path, store: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / NAME).write_bytes(CONTENT)
    (tmp_path / "other" / NAME).write_bytes(b"other")
    other = f"file://{tmp_path}/other/{NAME}#sha256={hashlib.sha256(b'other').hexdigest()}"
    with pytest.raises(DeployError, match="have the same name"):
        fetch_all([f"file://{tmp_path / NAME}{PIN}", other], store)
    assert not store.exists()
