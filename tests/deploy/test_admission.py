"""Which archives of a folder TorchServe is given where they must be signed."""

import json
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import admission as module
from deploy.admission import Admission, admit
from deploy.edge.registration import archive_of
from deploy.errors import DeployError
from tests.deploy.test_serve import run
from trust import signature
from trust.keys import PrivateKey

CONTENT = b"an archive" * 1000


class Folder:
    """A folder of archives, with a key that is trusted and one that is not."""

    def __init__(self, root: Path) -> None:
        self.source, self.keys = root / "source", root / "keys.pub"
        self.source.mkdir()
        self.key, self.stranger = PrivateKey.generate(), PrivateKey.generate()
        self.key.write(root / "key.pem", self.keys)
        self.admission = Admission(self.source, root / "run" / "admitted", self.keys)
        self.admission.empty()

    def add(self, name: str, content: bytes = CONTENT, key: PrivateKey | None = None) -> Path:
        path = self.source / name
        path.write_bytes(content)
        if key:
            signature.sign(path, key)
        return path

    def look(self, settled: bool = False) -> list[str]:
        """The lines that a look has printed."""
        said: list[str] = []
        self.admission.look(said.append, settled)
        return said

    @property
    def admitted(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.admission.store.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_only_what_is_signed(folder: Folder) -> None:
    folder.add("good.mar", key=folder.key)
    folder.add("unsigned.mar")
    folder.add("foreign.mar", key=folder.stranger)
    folder.add("altered.mar", key=folder.key).write_bytes(CONTENT + b"!")
    os.mkfifo(folder.source / "pipe.mar")
    shutil.copyfile(folder.source / "good.mar.sig", folder.source / "pipe.mar.sig")
    (folder.source / "dangling.mar").symlink_to(folder.source / "nowhere")
    said = dict(zip(("altered", "dangling", "foreign", "good", "pipe", "unsigned"), folder.look(), strict=True))
    assert said["good"] == f"good.mar is admitted: signed with the key {folder.key.public.fingerprint[:12]}"
    assert said["unsigned"] == "refused: unsigned.mar is not signed: unsigned.mar.sig is missing"
    assert said["altered"].startswith("refused: altered.mar was altered after it was signed")
    assert said["foreign"].startswith("refused: foreign.mar is signed with the key ")
    assert said["pipe"].startswith("refused: pipe.mar cannot be read")
    assert said["dangling"].startswith("refused: dangling.mar ")
    assert folder.admitted == {"good.mar": CONTENT}
    assert stat.S_IMODE(folder.admission.store.stat().st_mode) == 0o700
    for name in ("unsigned.mar", "foreign.mar", "altered.mar"):
        with pytest.raises(DeployError, match=f"refused: {name}"):
            folder.admission.admit(name)
    assert folder.admission.admit("good.mar") == folder.admission.store / "good.mar"


def test_a_file_that_changes_after_the_check_does_not_change_the_copy(folder: Folder) -> None:
    path = folder.add("good.mar", key=folder.key)
    folder.look()
    with path.open("r+b") as file:  # in place, so that a link to it would change as well
        file.write(b"evil code")
    assert folder.admitted == {"good.mar": CONTENT}
    [line] = folder.look()
    assert line.startswith("refused: good.mar was altered")
    assert folder.admitted == {"good.mar": CONTENT}


def test_a_file_that_changes_while_it_is_read_is_refused(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer is at work between two reads."""
    path = folder.add("good.mar", CONTENT * 1000, folder.key)
    monkeypatch.setattr(module, "BLOCK", 4096)
    copied, writes = module.copied, 0

    class Target:
        def __init__(self, target: object) -> None:
            self.target = target

        def write(self, block: bytes) -> None:
            nonlocal writes
            writes += 1
            if writes == 10:
                with path.open("r+b") as file:
                    file.seek(5_000_000)
                    file.write(b"evil code")
            self.target.write(block)  # type: ignore[attr-defined]

    monkeypatch.setattr(module, "copied", lambda path, target: copied(path, Target(target)))
    with pytest.raises(DeployError, match="was altered after it was signed"):
        folder.admission.admit("good.mar")
    assert writes > 10
    assert folder.admitted == {}


def test_files_are_read_again_only_where_they_have_changed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.add("good.mar", key=folder.key)
    folder.add("unsigned.mar")
    assert len(folder.look()) == 2
    monkeypatch.setattr(module, "copied", lambda *_: pytest.fail("read again"))
    assert folder.look() == []
    for admission in (folder.admission, Admission.from_json(json.loads(json.dumps(folder.admission.to_json())))):
        admission.admit("good.mar")
        with pytest.raises(DeployError, match="is not signed"):
            admission.admit("unsigned.mar")


def test_what_is_still_being_copied_is_waited_for(folder: Folder) -> None:
    path = folder.add("good.mar", CONTENT[:100], folder.key)
    assert folder.look(settled=True) == []
    path.write_bytes(CONTENT)
    signature.sign(path, folder.key)
    assert folder.look(settled=True) == []
    assert len(folder.look(settled=True)) == 1
    assert folder.admitted == {"good.mar": CONTENT}


def test_a_signature_that_comes_later(folder: Folder) -> None:
    path = folder.add("late.mar")
    assert folder.look()[0].startswith("refused")
    signature.sign(path, folder.key)
    assert folder.look()[0].startswith("late.mar is admitted")


def test_what_leaves_the_folder_leaves_the_store(folder: Folder) -> None:
    path = folder.add("good.mar", key=folder.key)
    folder.look()
    path.unlink()
    assert folder.look() == [f"good.mar is withdrawn: it has left {folder.source}"]
    assert folder.admitted == {}
    shutil.rmtree(folder.source)
    assert folder.look() == []


def test_an_older_server_s_store_is_emptied(folder: Folder) -> None:
    (folder.admission.store / "left.mar").write_bytes(b"not checked by us")
    folder.admission.empty()
    assert folder.admitted == {}


def test_watching(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 0.02)
    ended, said = threading.Event(), list[str]()
    thread = folder.admission.watch(ended, said.append)
    folder.add("good.mar", key=folder.key)
    end = time.monotonic() + 10
    while not said and time.monotonic() < end:
        time.sleep(0.02)
    ended.set()
    thread.join(5)
    assert not thread.is_alive()
    assert said == [f"good.mar is admitted: signed with the key {folder.key.public.fingerprint[:12]}"]


@pytest.mark.parametrize("name", ["../source/good.mar", "/etc/passwd", "", ".hidden.mar", "good.mar.sig", "a\nb.mar"])
def test_a_name_that_leads_elsewhere(folder: Folder, name: str) -> None:
    folder.add("good.mar", key=folder.key)
    with pytest.raises(DeployError, match="is not the name of an archive"):
        folder.admission.admit(name)


def test_the_archive_of_a_call() -> None:
    message = b"\x4a\x05x.mar"  # field 9
    prefix = b"\0" + len(message).to_bytes(4, "big")
    method = "/org.pytorch.serve.grpc.management.ManagementAPIsService/RegisterModel"
    assert archive_of("/models?url=x.mar&synchronous=true", b"") == "x.mar"
    assert archive_of(method, prefix + message) == "x.mar"
    assert archive_of("/models", b"") == archive_of(method, b"") == archive_of(method, b"\0\0\0\0\1\xff") == ""


def test_a_start_with_named_archives(folder: Folder, tmp_path: Path) -> None:
    good, bad = folder.add("good.mar", key=folder.key), folder.add("bad.mar")
    assert sorted(path.name for path in admit([good], tmp_path / "store", folder.keys).store.iterdir()) == ["good.mar"]
    with pytest.raises(DeployError, match=r"refused: bad\.mar is not signed"):
        admit([good, bad], tmp_path / "store", folder.keys)
    with pytest.raises(DeployError, match=r"no gone\.mar in .*; where archives must be signed, none is built"):
        admit([good, folder.source / "gone.mar"], tmp_path / "store", folder.keys)


@pytest.mark.parametrize("made", [lambda root: root / "missing.pub", lambda root: root / "key.pem"])
def test_keys_that_cannot_be_used(folder: Folder, tmp_path: Path, made: Callable[[Path], Path]) -> None:
    with pytest.raises(DeployError, match=r"no such file|holds a private key"):
        Admission(folder.source, tmp_path / "store", made(tmp_path))


def test_the_commands_refuse_in_one_line(folder: Folder, tmp_path: Path) -> None:
    folder.add("altered.mar", key=folder.key).write_bytes(CONTENT + b"!")
    folder.add("foreign.mar", key=folder.stranger)
    folder.add("unsigned.mar")
    done = run(tmp_path, "run", "--store", str(folder.source), "--require-signed", str(folder.keys))
    assert done.returncode == 1
    altered, foreign, unsigned = done.stdout.splitlines()
    assert altered.startswith("refused: altered.mar was altered after it was signed")
    assert foreign.startswith("refused: foreign.mar is signed with the key ")
    assert unsigned == "refused: unsigned.mar is not signed: unsigned.mar.sig is missing"
    assert done.stderr.startswith(f"run: no archive is signed as it must be in {folder.source}")
    done = run(tmp_path, "serve", "cartpole", "--require-signed", str(tmp_path / "missing.pub"))
    assert (done.returncode, done.stderr) == (1, f"serve: {tmp_path / 'missing.pub'}: no such file\n")
