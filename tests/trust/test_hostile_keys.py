"""Files of keys and places of signatures that mean harm."""

import os
from collections.abc import Callable
from pathlib import Path
from time import process_time

import pytest

from trust import signature
from trust.errors import SignatureError
from trust.keys import PrivateKey, trusted


@pytest.fixture
def key(tmp_path: Path) -> PrivateKey:
    made = PrivateKey.generate()
    made.write(tmp_path / "k.pem", tmp_path / "k.pub")
    return made


@pytest.mark.parametrize("filler", [b"-----BEGIN X-----", b"-----BEGIN PUBLIC KEY-----\n", b"-----BEGIN ", b"-" * 5])
def test_a_file_of_beginnings_is_read_at_once(filler: bytes, tmp_path: Path) -> None:
    """A search for the end of each would take minutes."""
    path = tmp_path / "keys"
    path.write_bytes(filler * ((1 << 20) // len(filler)))
    started = process_time()
    with pytest.raises(SignatureError, match="has no public key in PEM"):
        trusted(path)
    assert process_time() - started < 2


def test_keys_among_other_things_are_found(tmp_path: Path, key: PrivateKey) -> None:
    other = PrivateKey.generate()
    begun, ended = b"-----BEGIN PUBLIC KEY-----\ncut off\n", b"-----END PUBLIC KEY-----\n"
    (tmp_path / "keys").write_bytes(b"of a team:\n" + key.public.pem + ended + begun + other.public.pem + begun)
    assert [each.fingerprint for each in trusted(tmp_path / "keys")] == [
        key.public.fingerprint,
        other.public.fingerprint,
    ]


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir], ids=["pipe", "folder"])
def test_what_is_there_and_not_a_file_is_called_so(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "keys")
    with pytest.raises(SignatureError, match="keys: not a file"):
        trusted(tmp_path / "keys")


@pytest.mark.parametrize("planted", ["link", "pipe"])
def test_what_lies_in_a_signatures_place_is_not_written_to(planted: str, tmp_path: Path, key: PrivateKey) -> None:
    (tmp_path / "model.mar").write_bytes(b"x")
    (tmp_path / "victim").write_text("as before")
    for name in (".model.mar.sig.partial", "model.mar.sig"):
        if planted == "link":
            (tmp_path / name).symlink_to(tmp_path / "victim")
        else:
            os.mkfifo(tmp_path / name)
    written = signature.sign(tmp_path / "model.mar", key)
    assert (tmp_path / "victim").read_text() == "as before"
    assert not written.is_symlink()
    assert signature.verify(tmp_path / "model.mar", [key.public]).fingerprint == key.public.fingerprint
