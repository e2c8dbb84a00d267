"""The archive for a bug report: secrets planted everywhere never reach it, and what explains a problem does."""

import getpass
import json
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from deploy.configuration import PROJECT
from deploy.doctor import bug_report
from deploy.doctor.checkout import Checkout
from deploy.doctor.finding import note, ok
from deploy.doctor.redaction import HIDDEN, Redactor
from deploy.errors import DeployError

# Every planted secret holds this, so that one search finds any of them, whole or in part.
MARK = "pl4nted"
LINES = f"MIIEvQIBADANBgkqhkiG9w0{MARK}tlskey\n{MARK}secondline0123456789\n"
PEM = f"-----BEGIN PRIVATE KEY-----\n{LINES}-----END PRIVATE KEY-----\n"
CLIENTS = f"""clients:
  ann:
    key: {MARK}-of-a-client
  bob: {{key: {MARK}-flow, admin: true}}
"""
LOG = f"""2026-01-01 INFO GET /predictions/m?question={MARK}+my+private+text HTTP/1.1 200
2026-01-01 WARN headers: {{'Authorization': 'Bearer {MARK}-in-a-dict'}}
Authorization: Bearer {MARK}.abc-def
authorization=Basic {MARK}dXNlcjpwYXNz
curl -H "Authorization: Bearer {MARK}==" https://user:{MARK}@example.org/simple/
see https://{MARK}-token@example.org/x?access_token={MARK}
retrying with token {MARK}-known-by-file and password: "{MARK} with spaces"
HF_TOKEN=hf_{MARK}AbCdEfGhIjKlMnOpQrStUvWx
api_key = '{MARK}abc', aws_secret_access_key={MARK}xyz, AKIA{MARK.upper()}ABCDEFGH
{{"inference": {{"key": "{MARK}-json"}}, "x": 1}}
body: {"A" * 500}{MARK}
-Djavax.net.ssl.keyStorePassword={MARK}
{PEM}
-----BEGIN RSA PRIVATE KEY-----
MIIE{MARK}ofnofile
-----END RSA PRIVATE KEY-----
"""
TRUE_STORY = "2026-01-01 ERROR W-9000-imagenet_1.0 - SafetensorError: invalid header, 1.5 GiB"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """One with a secret in every place that may hold one."""
    project = tmp_path / "home" / "ann-example" / "checkout"
    for folder in ("secrets", "model_store", ".run/logs", ".run/edge", ".venv/lib/python3.11/site-packages"):
        (project / folder).mkdir(parents=True)
    (project / "config.properties").write_text((PROJECT / "config.properties").read_text() + "keystore_pass=changeit\n")
    keys = {name: {"key": f"{MARK}-known-by-file"} for name in ("inference", "management", "API")}
    files = {
        ".run/key_file.json": json.dumps(keys),
        ".run/edge_keys.json": json.dumps(keys),
        ".run/edge/routes.json": json.dumps({"value": f"Bearer {MARK}-upstream-key"}),
        ".run/config.properties": f"inference_address=http://127.0.0.1:8080\nkeystore_pass={MARK}\nstrange={MARK}\n",
        "secrets/clients.yaml": CLIENTS,
        "secrets/tls.key": PEM,
        "secrets/grafana-password": f"{MARK}-grafana\n",
        ".run/logs/models.log": LOG
        + TRUE_STORY
        + f"\n{MARK}-of-a-client {MARK}-grafana {MARK}-upstream-key {MARK}-flow\n",
        ".run/logs/edge.log": f"{project}/x {tmp_path}/home/ann-example/y ann-example\n{MARK}secondline0123456789\n",
    }
    for name, text in files.items():
        (project / name).write_text(text)
    with zipfile.ZipFile(project / "model_store" / "mine.mar", "w") as file:
        manifest = {"modelName": "mine", "modelVersion": "2.0", "handler": "entry.py"}
        file.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": manifest}))
        card = {"task": "policy", "batch": {}, "sha256": {"weights": "ab" * 32}}
        file.writestr("card.json", json.dumps(card))
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "ann-example"))
    monkeypatch.setenv("USER", "ann-example")
    monkeypatch.setenv("MY_API_KEY", f"{MARK}-env-key")
    monkeypatch.setenv("HARMLESS_NAME", f"{MARK}-harmless")
    monkeypatch.setenv("PIP_INDEX_URL", f"https://u:{MARK}@example.org/simple")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    return Checkout(project, project / ".run")


@pytest.fixture
def report(checkout: Checkout, tmp_path: Path) -> dict[str, str]:
    """Name of a file → its text."""
    path = tmp_path / "report.tar.gz"
    findings = [
        ok("disk", f"{checkout.project}/x"),
        note("network", f"https://u:{MARK}@example.org fails", "MY_API_KEY"),
    ]
    names = bug_report.write(checkout, findings, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == [f"report/{name}" for name in names]
        assert {(member.uname, member.gname) for member in members} == {("", "")}
        return {name: archive.extractfile(f"report/{name}").read().decode() for name in names}  # type: ignore[union-attr]


def test_no_planted_secret_is_left(report: dict[str, str]) -> None:
    for name, text in report.items():
        assert MARK not in text.lower(), [line for line in text.splitlines() if MARK in line.lower()]
        assert "changeit" not in text, name
        assert "A" * 60 not in text, name


def test_user_and_home_are_replaced(report: dict[str, str]) -> None:
    for name, text in report.items():
        assert "ann-example" not in text, name
    assert report["logs/edge.log"].splitlines()[0] == "CHECKOUT/x ~/y USER"


def test_what_explains_a_problem_is_there(report: dict[str, str]) -> None:
    assert TRUE_STORY in report["logs/models.log"]
    assert "GET /predictions/m?[redacted] HTTP/1.1 200" in report["logs/models.log"]
    assert "inference_address=http://127.0.0.1:8080\n" in report["config.properties"]
    assert "keystore_pass=[redacted]\nstrange=[redacted]\n" in report["config.properties"]
    [model] = json.loads(report["models.json"])
    assert (model["name"], model["version"], model["digests"]) == ("mine", "2.0", {"weights": "ab" * 32})
    assert len(model["sha256"]) == 64
    environment = report["environment.txt"].splitlines()
    assert "CUDA_VISIBLE_DEVICES=0,1" in environment
    assert {f"{name}={HIDDEN}" for name in ("MY_API_KEY", "HARMLESS_NAME", "HOME", "USER")} <= set(environment)
    assert json.loads(report["doctor.json"])["findings"][0]["text"] == "CHECKOUT/x"
    assert "✓ disk" in report["doctor.txt"]
    assert report["versions.txt"].startswith("python==3.")


def test_logs_are_bounded(checkout: Checkout) -> None:
    log = checkout.run / "logs" / "server.log"
    log.write_text("first\n" + "another line\n" * 100_000 + "last\n")
    text = bug_report.tail(log)
    assert len(text) == bug_report.LOG_BYTES
    assert text.endswith("last\n")
    assert "first" not in text


def test_a_secret_that_would_be_left_stops_it(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bug_report, "versions", lambda checkout: f"x=={MARK}-grafana\n")
    with pytest.raises(DeployError, match="a secret would be left in versions"):
        bug_report.write(checkout, [], tmp_path / "report.tar.gz")
    assert not (tmp_path / "report.tar.gz").exists()


@pytest.mark.parametrize(
    "text",
    [f"MIIE{MARK}\nabc{MARK}=\n-----END PRIVATE KEY-----\n", f"x\n-----BEGIN PRIVATE KEY-----\nMIIE{MARK}\nabc{MARK}"],
)
def test_a_key_that_a_log_is_cut_in(text: str) -> None:
    assert MARK not in Redactor(known=(), names=())(text)


def test_ordinary_words_stay() -> None:
    redactor = Redactor(known=(), names=())
    for text in (
        "the token expired",
        "File /usr/lib/python3.11/site-packages/torch/nn/modules/module.py, line 1751, in _call_impl",
        "/one/two/three/four/five/six/seven/eight/nine/ten/eleven/twelve/thirteen/x.py",
        "http://127.0.0.1:8080/predictions/imagenet 200",
        "monkey business: keyboard",
    ):
        assert redactor(text) == text


def test_the_command_names_its_file(tmp_path: Path) -> None:
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PYTHONPATH": str(PROJECT), "BUNDLE_RUN": str(tmp_path / "run")}
    for arguments, name in ((["--bundle"], "bundle-report-*.tar.gz"), (["--bundle", "mine.tar.gz"], "mine.tar.gz")):
        done = subprocess.run(
            [sys.executable, "-m", "deploy", "doctor", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        [path] = tmp_path.glob(name)
        assert path.name in done.stderr
        with tarfile.open(path) as archive:
            assert f"{path.name.removesuffix('.tar.gz')}/doctor.txt" in archive.getnames()
    user = getpass.getuser()
    assert user == "root" or user not in done.stderr.replace(str(tmp_path), "")
