"""The front door, run as a user runs it: with an environment, and on a fresh clone."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bundle

PROJECT = Path(__file__).parent.parent
BUNDLE = PROJECT / "bundle"
COMMANDS = ["serve", "stop", "status", "deploy", "keys", "predict", "train", "new", "build", "verify"]
COMMANDS += ["inspect", "diff", "sbom", "keygen", "sign", "verify-signature", "tune", "bench", "doctor"]
HEAVY = {"torch", "numpy", "transformers", "requests", "grpc", "pydantic"}
FOLDERS = ("archiver", "benchmarks", "client", "deploy", "handlers", "requirements", "scripts", "train")
FILES = ("bundle", "bundle.py", "config.properties", "pyproject.toml")


def run(*arguments: str, program: Path = BUNDLE, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload]


@pytest.fixture
def fresh_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the checkout without an environment; the Python that is found has no packages."""
    clone = tmp_path / "clone"
    clone.mkdir()
    for folder in FOLDERS:
        shutil.copytree(PROJECT / folder, clone / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(PROJECT / file, clone)
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setenv("PYTHON", str(bare))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("BUNDLE_RUN", raising=False)
    return clone


def test_help_lists_every_command_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "client").mkdir()  # a folder of the caller's, not our package
    done = run("--help", cwd=tmp_path, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0
    for name in COMMANDS:
        assert bundle.ENTRIES[name].summary in done.stdout
    assert list(bundle.ENTRIES) == COMMANDS


def test_help_is_fast_because_it_imports_nothing_heavy() -> None:
    code = (
        "import bundle, sys; sys.argv[1:] = ['--help']\n"
        f"try: bundle.main()\nexcept SystemExit: print(sorted({HEAVY} & set(sys.modules)), file=sys.stderr)"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert time.monotonic() - started < 5  # 0.5 s on an idle machine


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "bench" else ()) for name in COMMANDS]
)
def test_the_listed_help_is_the_commands_own(name: str) -> None:
    entry = bundle.ENTRIES[name]
    command = entry.command()
    help_text = command.commands["run"].help if name == "train" else command.help
    assert entry.docstring == help_text
    assert entry.summary
    assert " ".join(help_text.split()).startswith(entry.summary)


def test_usage_shows_the_front_door_and_the_commands_own_options() -> None:
    done = run("predict", "--help", env={**os.environ, "COLUMNS": "160"})
    assert done.returncode == 0
    assert "Usage: bundle predict [OPTIONS]" in done.stdout
    for option in ("--grpc", "--accept", "--content-type", "--out", "--version", "--stream", "--param", "--timeout"):
        assert option in done.stdout
    assert "Usage: bundle serve [OPTIONS]" in run("serve", "--help").stdout


def test_exit_statuses_pass_through(tmp_path: Path) -> None:
    nowhere = {**os.environ, "TORCHSERVE_SERVER_FILE": str(tmp_path / "none.json"), "BUNDLE_RUN": str(tmp_path)}
    nowhere.pop("TORCHSERVE_KEY_FILE", None)
    assert run("predict", "model", "text", env=nowhere).returncode == 3
    assert run("predict", "model", env=nowhere).returncode == 2
    assert run("status", env=nowhere).returncode == 3
    assert run("stop", env=nowhere).stdout == "no server is running\n"
    assert run("verify", str(tmp_path / "none.mar"), env=nowhere).returncode == 1
    unknown = run("pedrict", "model", "text", env=nowhere)
    assert unknown.returncode == 2
    assert "predict" in unknown.stderr


def test_ctrl_c_ends_a_command_with_130(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        described = {"inference": f"http://{address}", "management": f"http://{address}"}
        path = tmp_path / "server.json"
        path.write_text(json.dumps({**described, "grpc": address, "grpc_management": address}))
        process = subprocess.Popen(
            [BUNDLE, "predict", "model", "text"],
            env={**os.environ, "TORCHSERVE_SERVER_FILE": str(path)},
            stderr=subprocess.PIPE,
        )
        silent.settimeout(30)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        connection.close()
    assert process.returncode == 130
    assert b"Traceback" not in said


def test_outside_the_checkout_results_still_go_into_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    assert bundle.folders() == {}
    monkeypatch.chdir(tmp_path)
    for name, defaults in bundle.folders().items():
        if name == "bench":  # whose import takes seconds
            continue
        command = bundle.ENTRIES[name].command()
        for key, value in defaults.items():
            inner = command.commands[key].params if isinstance(value, dict) else command.params
            known = {parameter.name: parameter.default for parameter in inner}
            for option, path in (value if isinstance(value, dict) else {key: value}).items():
                assert option not in known or PROJECT / known[option] == Path(path)
            assert set(known) & {*(value if isinstance(value, dict) else [key])}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["./bundle", "st"], {"stop", "status"}),
        (["./bundle", "predict", "--ac"], {"--accept"}),
        (["./bundle", "doctor", "--"], {"--json", "--bundle", "--help"}),
    ],
)
def test_bash_completes_commands_and_options(words: list[str], expected: set[str], tmp_path: Path) -> None:
    shown = run("--show-completion", "bash", env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    script = f"""{shown.stdout}
COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}
_bundle_completion; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["/bin/bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_and_calls_this_checkout(shell: str, tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = run("--install-completion", shell, env=environment)
    assert done.returncode == 0, done.stderr
    scripts = [path.read_text() for path in tmp_path.rglob("*bundle*") if path.is_file()]
    assert len(scripts) == 1
    assert f"complete_{shell}" in scripts[0]
    assert str(BUNDLE) in scripts[0]
    assert not any(line.rstrip(')"').endswith((" $1", "(commandline -cp) bundle")) for line in scripts[0].splitlines())


def test_a_fresh_clone_has_help_and_says_what_to_run(fresh_clone: Path) -> None:
    program = fresh_clone / "bundle"
    listed = run("--help", program=program)
    assert listed.returncode == 0, listed.stderr
    assert all(name in listed.stdout for name in COMMANDS)
    helped = run("serve", "--help", program=program)
    assert (helped.returncode, "./scripts/setup serve" in helped.stdout) == (0, True)
    assert bundle.ENTRIES["serve"].docstring in helped.stdout
    for command, status in (("predict", 3), ("status", 3), ("stop", 0)):
        done = run(command, program=program)
        assert (done.returncode, "./bundle serve" in done.stderr) == (status, True)
    assert run("pedrict", program=program).returncode == 2
    assert run(program=program, env={**os.environ, "_BUNDLE_COMPLETE": "complete_bash"}).stdout == ""
    assert not (fresh_clone / ".venv").exists()


def test_a_fresh_clone_has_a_doctor(fresh_clone: Path) -> None:
    done = run("doctor", "--json", program=fresh_clone / "bundle")
    assert done.returncode == 1, done.stderr  # nothing is installed
    found = {(each["subject"], each["level"]): each for each in json.loads(done.stdout)["findings"]}
    assert found[".venv", "problem"]["remedy"] == "./scripts/setup serve"
    assert ("Python", "ok") in found
    assert ("packages", "problem") in found
    assert not any("could not be checked" in each["text"] for each in found.values())
    assert "usage: bundle doctor" in run("doctor", "--help", program=fresh_clone / "bundle").stdout


def test_a_wrong_python_is_named(fresh_clone: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.8"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = run("doctor", program=fresh_clone / "bundle", env={**os.environ, "PYTHON": str(old)})
    assert done.returncode == 1
    assert f"needs Python 3.11 or 3.12; found {old}" in done.stderr
