"""Two versions of one model and files of others in one store, on one server."""

import json
import shlex
import shutil
import subprocess
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from typer.testing import CliRunner, Result

from archiver.archive import build
from archiver.package import resolve
from client import GrpcClient, RestClient, RestManagement
from deploy.archive import Archive, archives_in
from deploy.configuration import PROJECT
from deploy.edge import process as process_of_edge
from deploy.errors import DeployError
from deploy.ports import HOST, Ports
from deploy.readiness import load, servable
from deploy.report import print_calls, print_models
from deploy.run_folder import public_server, running
from deploy.torchserve import TorchServe
from deploy.versions.command import app

OBSERVATION = {"data": [0.1, 0.2, 0.3, 0.4]}
MANIFEST = "MAR-INF/MANIFEST.json"


def version(tiny: Path, store: Path, number: str) -> Path:
    """The tiny policy of the session as another version, and under another file name."""
    spec = tiny.parent.parent / f"tiny-policy-{number}.yaml"
    values = {"name": "tiny-policy", "artifact": "tiny-policy/artifact", "version": number, "workers": 1}
    spec.write_text(yaml.safe_dump(values))
    return build(resolve(spec, spec.parent), PROJECT / "handlers", store).path


@pytest.mark.e2e
def test_every_version_is_served_and_foreign_files_are_left_out(
    tiny_archive: Callable[[str], Path], tmp_path: Path
) -> None:
    store, tiny = tmp_path / "store", tiny_archive("tiny-policy")
    store.mkdir()
    shutil.copy(tiny, store)
    version(tiny, store, "1.10")
    version(tiny, store, "1.9")
    (store / "._tiny-policy.mar").write_bytes(b"Mac OS X")
    (store / "text.mar").write_text("not a zip")
    with zipfile.ZipFile(store / "foreign.mar", "w") as archive:
        archive.writestr(MANIFEST, json.dumps({"model": {"modelName": "foreign", "handler": "h.py"}}))
        archive.writestr("h.py", "def handle(data, context):\n    raise RuntimeError\nimport no_such_module\n")
    left: dict[str, str] = {}
    with TorchServe(store, tmp_path / "run", Ports.free()) as torchserve:
        paths = archives_in(store)
        assert [path.name for path in paths if path.name.startswith(".")] == []
        load(torchserve.run, paths, leave_out=lambda path, why: left.update({path.name: why}))
        assert left.keys() == {"text.mar", "foreign.mar"}
        assert "foreign cannot be loaded; its worker said" in left["foreign.mar"]
        with RestManagement(torchserve.server) as management, RestClient(torchserve.server) as rest:
            assert management.describe("tiny-policy").version == "1.10"
            assert {status.version for status in management.versions("tiny-policy") if status.ready} == {
                *("1.0", "1.9", "1.10")
            }
            assert [model.name for model in management.list_models()] == ["tiny-policy"]
            answers = [rest.predict("tiny-policy", OBSERVATION, version=number) for number in ("1.0", "1.9", "1.10")]
            assert len({answer.body for answer in answers}) == 1
        archives = [Archive.read(path) for path in paths if path.name not in left]
        table, process = StringIO(), running(torchserve.run)
        assert process is not None
        print_models(Console(file=table, width=200), torchserve.server, archives, {"tiny-policy": 1.0}, process)
        assert "1.10 (default)" in table.getvalue()
        assert table.getvalue().count("(default)") == 1
        samples = {"tiny-policy": archives[0].sample(tmp_path), "tiny-policy/1.9": archives[0].sample(tmp_path)}
        calls = StringIO()
        print_calls(Console(file=calls, width=1000), torchserve.server, samples, tmp_path)
        curls = [line.strip() for line in calls.getvalue().splitlines() if line.strip().startswith("curl")]
        assert [line.rpartition("/predictions/")[2] for line in curls] == ["tiny-policy", "tiny-policy/1.9"]
        assert "--grpc --version 1.9" in calls.getvalue()
        key = json.loads((torchserve.run / "key_file.json").read_text())["inference"]["key"]
        curl = shutil.which("curl") or "curl"
        for line in curls:
            command = shlex.split(line.replace("$KEY", key))
            done = subprocess.run([curl, "-sf", *command[1:]], cwd=tmp_path, capture_output=True, check=True)
            assert json.loads(done.stdout)["action"] in (0, 1)
        settings = tmp_path / "secrets"
        process_of_edge.start(torchserve.run, torchserve.ports, ["tiny-policy"], settings)
        assert_divided(torchserve, settings)


def assert_divided(torchserve: TorchServe, settings: Path) -> None:
    """Calls that name no version are divided between two of the three, over both protocols."""
    environment = {"BUNDLE_RUN": str(torchserve.run), "TORCHSERVE_SERVER_FILE": str(torchserve.run / "server.json")}

    def split(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["split", *arguments, "--settings", str(settings)], env=environment)

    missing = split("tiny-policy", "1.10=90", "2.0=10")
    assert "tiny-policy has no ready version 2.0; ready: " in missing.stderr
    done = split("tiny-policy", "1.9=50", "1.10=50")
    assert done.exit_code == 0, done.output
    server, chosen = public_server(torchserve.run), Counter[str]()
    with RestClient(server) as rest, GrpcClient(server) as rpc:
        end = time.monotonic() + 10
        while not rest.predict("tiny-policy", OBSERVATION).version:
            assert time.monotonic() < end
        before = requests_by_version(torchserve)
        for _ in range(40):
            for client in (rest, rpc):
                chosen[client.predict("tiny-policy", OBSERVATION).version] += 1
        assert rpc.predict("tiny-policy", OBSERVATION, version="1.0").json()["action"] in (0, 1)
    assert requests_by_version(torchserve) - before == chosen + Counter({"1.0": 1})
    assert chosen.keys() == {"1.9", "1.10"}
    assert "tiny-policy" in split().output
    assert split("tiny-policy", "--end").exit_code == 0
    assert split("tiny-policy", "--end").exit_code == 1


def requests_by_version(torchserve: TorchServe) -> Counter[str]:
    """What TorchServe has counted."""
    page = requests.get(f"http://{HOST}:{torchserve.ports.metrics}/metrics", timeout=10).text
    found = Counter[str]()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == "ts_inference_requests_total":
                found[sample.labels["model_version"]] += int(sample.value)
    return found


def test_one_version_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with zipfile.ZipFile(tmp_path / f"{name}.mar", "w") as archive:
            archive.writestr(MANIFEST, json.dumps({"model": {"modelName": "m", "handler": "h.py"}}))
    first = servable(tmp_path / "a.mar", [])
    with pytest.raises(DeployError, match=r"b\.mar and a\.mar both hold m 1\.0; give one another version"):
        servable(tmp_path / "b.mar", [first])
