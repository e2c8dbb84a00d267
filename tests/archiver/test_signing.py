"""`keygen`, `sign` and `verify-signature`, as a user calls them."""

import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from archiver.__main__ import app
from archiver.signing import PASSWORD
from tests.archiver.sample_project import SampleProject
from tests.archiver.test_main import archiver

RUNNER = CliRunner()


@pytest.fixture
def archive(project: SampleProject) -> Path:
    built = ["build", project.spec_file, "--artifacts", project.artifacts, "--store", project.store, "--no-verify"]
    assert RUNNER.invoke(app, [str(each) for each in built]).exit_code == 0
    return project.store / "model.mar"


def call(*arguments: str | Path, said: str = "", password: str | None = None) -> Result:
    return RUNNER.invoke(app, [str(each) for each in arguments], input=said, env={PASSWORD: password})


def test_from_a_key_to_a_checked_archive(archive: Path, tmp_path: Path) -> None:
    made = call("keygen", tmp_path / "team")
    assert made.exit_code == 0, made.output
    private, public = tmp_path / "team.pem", tmp_path / "team.pub"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    fingerprint = made.stdout.splitlines()[-1].removeprefix("fingerprint ")
    refused = call("verify-signature", archive, "--key", public)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == "archiver: model.mar is not signed: model.mar.sig is missing\n"
    signed = call("sign", archive, "--key", private)
    assert (signed.exit_code, signed.stdout) == (0, f"{archive}.sig\n")
    checked = call("verify-signature", archive, "--key", public)
    assert (checked.exit_code, checked.stdout) == (0, f"model.mar  signed with the key {fingerprint[:12]}\n")
    with archive.open("ab") as file:
        file.write(b"!")
    altered = call("verify-signature", archive, "--key", public)
    assert (altered.exit_code, "was altered after it was signed" in altered.stderr) == (1, True)
    again = call("keygen", tmp_path / "team")
    assert (again.exit_code, again.stderr.count("\n")) == (1, 1)
    assert again.stderr.endswith("team.pem already exists; keys are never overwritten\n")


def test_every_archive_is_reported(archive: Path, tmp_path: Path) -> None:
    call("keygen", tmp_path / "team")
    call("sign", archive, "--key", tmp_path / "team.pem")
    missing = tmp_path / "missing.mar"
    done = call("verify-signature", missing, archive, "--key", tmp_path / "team.pub")
    assert (done.exit_code, done.stderr.count("\n"), done.stdout.count("signed with the key")) == (1, 1, 1)


def test_a_password(archive: Path, tmp_path: Path) -> None:
    assert call("keygen", tmp_path / "team", "--password", said="secret\nsecret\n").exit_code == 0
    private = tmp_path / "team.pem"
    assert b"ENCRYPTED" in private.read_bytes()
    assert call("sign", archive, "--key", private, said="secret\n").exit_code == 0
    assert call("sign", archive, "--key", private, password="secret").exit_code == 0  # noqa: S106
    for wrong in (
        call("sign", archive, "--key", private, said="guess\n"),
        call("sign", archive, "--key", private, password="guess"),  # noqa: S106
    ):
        assert wrong.exit_code == 1
        assert wrong.stderr.endswith("the password is wrong\n")
        assert "guess" not in wrong.output
    assert call("verify-signature", archive, "--key", tmp_path / "team.pub").exit_code == 0


def test_a_pipe_with_a_signature_is_not_waited_for(archive: Path, tmp_path: Path) -> None:
    call("keygen", tmp_path / "team")
    call("sign", archive, "--key", tmp_path / "team.pem")
    os.mkfifo(tmp_path / "pipe.mar")
    (tmp_path / "pipe.mar.sig").write_bytes(archive.with_name(f"{archive.name}.sig").read_bytes())
    done = call("verify-signature", tmp_path / "pipe.mar", "--key", tmp_path / "team.pub")
    assert (done.exit_code, done.stderr) == (1, "archiver: pipe.mar is not a file\n")


def test_what_is_not_an_archive_is_not_signed(tmp_path: Path) -> None:
    call("keygen", tmp_path / "team")
    (tmp_path / "notes.txt").write_text("no archive")
    done = archiver("sign", tmp_path / "notes.txt", tmp_path / "missing.mar", "--key", tmp_path / "team.pem")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "cannot be read as a zip" in done.stderr
    assert not (tmp_path / "notes.txt.sig").exists()
