"""A script that is forked does what it does in a fresh interpreter, and nothing of it is left."""

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from zygote.client import KILLED, Job, Unreachable
from zygote.process import PYTHON, Zygote

MODULES = ("numpy", "numpy.random")


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    folder = tmp_path_factory.mktemp("zygote")
    with (folder / "log").open("wb") as log:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        started = Zygote(folder / "socket", MODULES, {**environment, "OMP_NUM_THREADS": "2"}, log=log)
    yield started
    started.stop()
    assert not Path(started.address).exists()


def script(folder: Path, text: str) -> Path:
    path = folder / "script.py"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def program(command: Sequence[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, input="typed", text=True, timeout=60, check=False
    )


def both(
    zygote: Zygote, path: Path, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]:
    """A script's behaviour through the stand-in, and in an interpreter of its own."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{path.parent}/extra", "WORD": "grüße"}
    forked = program([str(PYTHON), str(path), *arguments], path.parent, {**environment, **zygote.stand_in})
    fresh = program([sys.executable, str(path), *arguments], path.parent, environment)
    assert "fresh interpreter" not in forked.stderr
    return forked, fresh


def test_the_surroundings_are_those_of_a_fresh_interpreter(zygote: Zygote, tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("HERE = True")
    path = script(
        tmp_path,
        """
        import json, os, signal, sys, atexit
        import neighbour
        atexit.register(print, "the end")
        print(json.dumps({
            "arguments": sys.argv, "original": sys.orig_argv[1:], "folder": os.getcwd(), "path": sys.path,
            "environment": {k: v for k, v in os.environ.items() if k not in ("LC_CTYPE", "PWD", "SHLVL", "_")},
            "main": sorted(vars(sys.modules["__main__"]).keys() - {"__annotations__", "__cached__"}),
            "name": __name__, "file": __file__, "input": sys.stdin.read(),
            "signals": [str(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGCHLD, signal.SIGTERM)],
            "ours": sorted(m for m in sys.modules if m.split(".")[0] in ("zygote", "server", "client", "deploy")),
            "files": sorted(os.listdir("/proc/self/fd"))[:-1],
            "threads": len(os.listdir("/proc/self/task")),
        }))
        print("and this", file=sys.stderr)
        """,
    )
    forked, fresh = both(zygote, path, "one", "", "--two")
    said, expected = (json.loads(run.stdout.splitlines()[0]) for run in (forked, fresh))
    assert said == expected
    assert forked.stdout.splitlines()[1:] == fresh.stdout.splitlines()[1:] == ["the end"]
    assert (forked.returncode, forked.stderr) == (fresh.returncode, fresh.stderr) == (0, "and this\n")


@pytest.mark.parametrize(
    "text",
    [
        "raise ValueError('why')",
        "import sys; sys.exit(3)",
        "import sys; sys.exit('a message')",
        "import os; print('lost'); os._exit(4)",
        "this is no Python",
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print('later'))).start()",
    ],
)
def test_it_ends_as_in_a_fresh_interpreter(zygote: Zygote, tmp_path: Path, text: str) -> None:
    forked, fresh = both(zygote, script(tmp_path, text))
    assert (forked.returncode, forked.stdout, forked.stderr) == (fresh.returncode, fresh.stdout, fresh.stderr)


def test_a_signal_is_told(zygote: Zygote, tmp_path: Path) -> None:
    path = script(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert Job(zygote.address, [str(path)], str(tmp_path), dict(os.environ)).wait(10) == -15
    forked, _ = both(zygote, path)
    assert forked.returncode == 128 + 15  # as a shell tells it


def test_random_numbers_differ(zygote: Zygote, tmp_path: Path) -> None:
    path = script(tmp_path, "import numpy, random; print(numpy.random.rand(), random.random())")
    drawn = [number for _ in range(3) for number in both(zygote, path)[0].stdout.split()]
    assert len(set(drawn)) == 6


def test_it_starts_at_once_and_computes_on_all_threads(zygote: Zygote, tmp_path: Path) -> None:
    """numpy's threads, which do not survive a fork, are there again; the server has one."""
    path = script(
        tmp_path,
        """
        import os, sys
        assert "numpy" in sys.modules
        import numpy
        a = numpy.ones((500, 500))
        assert (a @ a == 500).all()
        print(len(os.listdir("/proc/self/task")))
        """,
    )
    forked, _ = both(zygote, path)
    assert forked.stdout == "2\n", forked.stderr
    assert psutil.Process(zygote.process.pid).num_threads() == 1


def sleeper(zygote: Zygote, folder: Path) -> tuple[Job, psutil.Process]:
    path = script(
        folder, "import os, time; open('pid', 'w').write(str(os.getpid())); os.rename('pid', 'id'); time.sleep(99)"
    )
    (folder / "id").unlink(missing_ok=True)
    job = Job(zygote.address, [str(path)], str(folder), dict(os.environ))
    end = time.monotonic() + 10
    while not (folder / "id").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    return job, psutil.Process(int((folder / "id").read_text()))


def test_a_script_is_ended(zygote: Zygote, tmp_path: Path) -> None:
    job, process = sleeper(zygote, tmp_path)
    with pytest.raises(TimeoutError):
        job.wait(0.05)
    job.end()
    assert not process.is_running()  # no zombie either


def test_a_script_ends_with_its_client(zygote: Zygote, tmp_path: Path) -> None:
    job, process = sleeper(zygote, tmp_path)
    job.connection.close()
    process.wait(10)
    both(zygote, script(tmp_path, ""))  # and others go on
    assert not psutil.Process(zygote.process.pid).children()


def test_scripts_end_with_the_server(tmp_path: Path) -> None:
    other = Zygote(tmp_path / "socket", (), dict(os.environ))
    jobs = [sleeper(other, tmp_path) for _ in range(2)]
    other.process.kill()
    for job, process in jobs:
        process.wait(10)
        assert job.wait(10) == KILLED
    with pytest.raises(Unreachable):
        Job(other.address, ["x.py"], str(tmp_path), {})
    other.stop()


def test_it_ends_with_its_starter(tmp_path: Path) -> None:
    other = Zygote(tmp_path / "socket", (), dict(os.environ))
    _, process = sleeper(other, tmp_path)
    other.release()
    assert other.process.wait(10) == 0
    process.wait(10)
    assert not (tmp_path / "socket").exists()


def test_what_cannot_be_imported_is_told_and_does_no_harm(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        other = Zygote(tmp_path / "socket", ("no_such_module", "json"), dict(os.environ), log=log)
    forked, _ = both(other, script(tmp_path, "print(1)"))
    assert forked.stdout == "1\n"
    assert "zygote: no_such_module cannot be imported ahead" in (tmp_path / "log").read_text()
    other.stop()


def test_noise_at_the_socket_does_no_harm(zygote: Zygote, tmp_path: Path) -> None:
    for noise in (b"", b"\0\0", b"\0\0\0\2[]", b"\0\0\0\2{}", b"\0\0\0\1{"):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(zygote.address)
            client.sendall(noise)
    assert both(zygote, script(tmp_path, "print(1)"))[0].stdout == "1\n"


@pytest.mark.parametrize("arguments", [("-c", "print(1)"), ("-m", "json.tool", "--help")])
def test_what_is_no_script_gets_a_fresh_interpreter(zygote: Zygote, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = program([str(PYTHON), *arguments], tmp_path, {**os.environ, **zygote.stand_in})
    assert (done.returncode, done.stderr) == (0, "zygote: no script is named; a fresh interpreter takes over\n")


def test_without_a_server_there_is_a_fresh_interpreter(zygote: Zygote, tmp_path: Path) -> None:
    path = script(tmp_path, "import sys; print(sys.argv[1:], 'ZYGOTE_SOCKET' in __import__('os').environ)")
    environment = {**os.environ, **zygote.stand_in, "ZYGOTE_SOCKET": str(tmp_path / "none")}
    done = program([str(PYTHON), str(path), "a b"], tmp_path, environment)
    assert (done.returncode, done.stdout) == (0, "['a b'] False\n")
    assert done.stderr.startswith("zygote: no warm process: ")


def test_only_this_user_can_reach_it(zygote: Zygote) -> None:
    assert Path(zygote.address).parent.stat().st_mode & 0o777 == 0o700


def test_a_library_that_takes_the_wakeup_descriptor_from_forks(tmp_path: Path) -> None:
    """As asyncio does from Python 3.12 on."""
    library = tmp_path / "library.py"
    library.write_text("import os, signal\nos.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))\n")
    started = Zygote(tmp_path / "socket", [str(library)], dict(os.environ))
    try:
        for _ in range(2):
            path = script(tmp_path, "print('here')")
            done = program([str(PYTHON), str(path)], tmp_path, {"PATH": os.environ["PATH"], **started.stand_in})
            assert (done.stdout, done.stderr) == ("here\n", "")
    finally:
        started.stop()
