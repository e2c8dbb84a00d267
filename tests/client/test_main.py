"""scripts/predict, run as a user runs it."""

import json
import os
import pty
import subprocess
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from tests.client.fake_server import FakeServer

PREDICT = Path(__file__).parents[2] / "scripts" / "predict"
IMAGE = b"\x89PNG\r\n\x1a\n...."


@pytest.fixture
def server_file(fake_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    server = fake_server.server
    path = tmp_path / "server.json"
    addresses = {name: getattr(server, name) for name in ("inference", "management", "grpc", "grpc_management")}
    path.write_text(json.dumps({**addresses, "key_file": str(server.key_file)}))
    monkeypatch.setenv("TORCHSERVE_SERVER_FILE", str(path))
    monkeypatch.delenv("TORCHSERVE_KEY_FILE", raising=False)
    return path


def predict(*arguments: str, stdin: bytes = b"", folder: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([PREDICT, *arguments], input=stdin, capture_output=True, cwd=folder, timeout=30)


def on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Exit status and all output of a call whose standard output and error are a terminal."""
    reader, terminal = pty.openpty()
    process = subprocess.Popen([PREDICT, *arguments], stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal)
    os.close(terminal)
    output = b""
    try:
        while chunk := os.read(reader, 4096):
            output += chunk
    except OSError:
        os.close(reader)  # Linux reports the terminal's end as an input/output error
    return process.wait(), output.decode().replace("\r\n", "\n")


@pytest.mark.usefixtures("server_file")
@pytest.mark.parametrize("protocol", [[], ["--grpc"]])
def test_text_json_files_and_standard_input(fake_server: FakeServer, tmp_path: Path, protocol: list[str]) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF....WAVE")
    (tmp_path / "client").mkdir()  # a folder of the caller's, not our package
    calls = [
        (("some text",), b"", b"some text", "text/plain"),
        (('{"data": [1]}',), b"", b'{"data": [1]}', "application/json"),
        (("17",), b"", b"17", "text/plain"),
        (("x" * 5000,), b"", b"x" * 5000, "text/plain"),
        (("a.wav",), b"", b"RIFF....WAVE", "audio/wav"),
        (("-",), IMAGE, IMAGE, "image/png"),
        (("-",), b"[1]", b"[1]", "application/json"),
        (("-",), b"\xfe\xfd", b"\xfe\xfd", "application/octet-stream"),
        (("-", "--content-type", "audio/flac"), b"abc", b"abc", "audio/flac"),
    ]
    for arguments, stdin, body, content_type in calls:
        fake_server.requests.clear()
        done = predict("echo", *arguments, *protocol, stdin=stdin, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        [request] = fake_server.requests
        if protocol:
            assert request["input"] == {"body": body, "content-type": content_type.encode()}
        else:
            assert (request["body"], request["headers"]["Content-Type"]) == (body, content_type)
        assert set(json.loads(done.stdout)) == {"body"}


@pytest.mark.usefixtures("server_file")
def test_options(fake_server: FakeServer) -> None:
    options = ("--version", "2.0", "--accept", "image/png", "--param", "top_k=3", "--param", "a=b=c")
    assert predict("echo", "x", "--grpc", *options).returncode == 0
    [request] = fake_server.requests
    assert request["version"] == "2.0"
    assert request["input"] == {
        "body": b"x",
        "content-type": b"text/plain",
        "accept": b"image/png",
        "top_k": b"3",
        "a": b"b=c",
    }


@pytest.mark.usefixtures("server_file")
def test_a_image_goes_to_a_file_or_a_pipe_but_not_to_a_terminal(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    done = predict("png", "x", "-o", str(out))
    assert (done.returncode, done.stdout, out.read_bytes()) == (0, b"", IMAGE)
    assert predict("png", "x").stdout == IMAGE
    code, output = on_a_terminal("png", "x")
    assert code == 2
    assert "image/png, 12 bytes" in output
    assert "PNG\n" not in output


@pytest.mark.usefixtures("server_file")
def test_json_is_indented_on_a_terminal() -> None:
    code, output = on_a_terminal("echo", "x")
    assert (code, output) == (0, '{\n  "body": "eA=="\n}\n')


@pytest.mark.usefixtures("server_file")
@pytest.mark.parametrize("protocol", [[], ["--grpc"]])
def test_an_error_answer(protocol: list[str]) -> None:
    done = predict("error-422", "x", *protocol)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"422 Kind: what and why\n")
    done = predict("slow", "x", "--timeout", "0.2", *protocol)
    assert (done.returncode, done.stderr) == (1, b"504 DeadlineExceeded: no answer within 0.2 s\n")


@pytest.mark.usefixtures("server_file")
@pytest.mark.parametrize(
    "arguments",
    [
        ("echo",),
        ("echo", "x", "--param", "k"),
        ("echo", "x", "--param", "body=1"),
        ("echo", "x", "--timeout", "0"),
        ("echo", "x", "--nothing"),
    ],
)
def test_a_wrong_call(arguments: tuple[str, ...]) -> None:
    done = predict(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("protocol", [[], ["--grpc"]])
def test_no_server(server_file: Path, protocol: list[str]) -> None:
    server_file.write_text(server_file.read_text().replace("127.0.0.1:", "127.0.0.1:9/"))
    described = json.loads(server_file.read_text())
    described |= {"inference": "http://127.0.0.1:9", "grpc": "127.0.0.1:9"}
    server_file.write_text(json.dumps(described))
    stopped = predict("echo", "x", *protocol)
    server_file.unlink()
    never_started = predict("echo", "x", *protocol)
    for done in (stopped, never_started):
        assert (done.returncode, done.stdout) == (3, b"")
        [line] = done.stderr.decode().splitlines()
        assert line.endswith("start a server with ./scripts/serve")
    assert b"does not exist" in never_started.stderr


@pytest.mark.usefixtures("server_file")
def test_it_starts_without_heavy_libraries() -> None:
    heavy = "{'torch', 'numpy', 'transformers', 'orjson'}"
    code = f"import sys, client.__main__; print(sorted({heavy} & set(sys.modules)))"
    python = PREDICT.parents[1] / ".venv" / "bin" / "python"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=PREDICT.parents[1], check=True)
    assert done.stdout == "[]\n"


@pytest.mark.usefixtures("server_file")
def test_a_stream_is_text_on_a_terminal_and_lines_elsewhere(tmp_path: Path) -> None:
    lines = b"".join(b'{"text": "part %d"}\n' % number for number in range(3))
    assert predict("lines", "x", "--stream").stdout == lines
    assert predict("lines", "x", "--stream", "-o", str(tmp_path / "out")).returncode == 0
    assert (tmp_path / "out").read_bytes() == lines
    assert predict("echo", "x", "--stream", "--grpc").stdout == b"part 0\npart 1\npart 2\n"
    assert on_a_terminal("lines", "x", "--stream") == (0, "part 0part 1part 2\n")
    broken = predict("lines-error", "x", "--stream")
    assert (broken.returncode, broken.stdout.count(b"\n")) == (1, 2)
    assert b"422 Kind: what and why" in broken.stderr


@pytest.mark.usefixtures("server_file")
@pytest.mark.parametrize("protocol", [[], ["--grpc"]])
def test_several_inputs_are_lines_of_json(fake_server: FakeServer, tmp_path: Path, protocol: list[str]) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF....WAVE")
    done = predict("echo", "a.wav", "some text", '{"data": [1]}', "-j", "2", *protocol, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["input"] for line in lines] == ["a.wav", "some text", '{"data": [1]}']
    bodies = [b64decode(line["answer"]["body"]) for line in lines]
    assert bodies == [b"RIFF....WAVE", b"some text", b'{"data":[1]}']
    images = predict("png", "x", "y", "-o", "out", *protocol, folder=tmp_path)
    assert (images.returncode, images.stdout) == (0, b"")
    [first, _] = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert first == {"input": "x", "content_type": "image/png", "body": b64encode(IMAGE).decode()}
    refused = predict("error-422", "x", "y", *protocol)
    assert refused.returncode == 1
    error = {"code": 422, "type": "Kind", "message": "what and why"}
    assert [json.loads(line)["error"] for line in refused.stdout.splitlines()] == [error, error]


@pytest.mark.usefixtures("server_file")
def test_several_inputs_on_a_terminal_have_a_bar() -> None:
    code, output = on_a_terminal("echo", "x", "y", "z")
    assert code == 0
    assert "3/3" in output
    assert output.count('"input"') == 3


@pytest.mark.usefixtures("server_file")
@pytest.mark.parametrize("arguments", [("x", "-"), ("x", "y", "--stream"), ("x", "y", "--explain"), ("x", "-j", "0")])
def test_a_wrong_call_for_several_inputs(arguments: tuple[str, ...]) -> None:
    done = predict("echo", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")


def test_no_server_for_several_inputs(server_file: Path) -> None:
    described = json.loads(server_file.read_text()) | {"inference": "http://127.0.0.1:9", "grpc": "127.0.0.1:9"}
    server_file.write_text(json.dumps(described))
    for protocol in ([], ["--grpc"]):
        done = predict("echo", "x", "y", *protocol)
        assert (done.returncode, done.stdout) == (3, b"")
        assert done.stderr.decode().rstrip().endswith("start a server with ./scripts/serve")
