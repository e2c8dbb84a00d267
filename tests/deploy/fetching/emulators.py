"""Servers that speak the protocols of two clouds' stores, with an archive in them: Azurite, and one for Google's."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.storage.blob import BlobServiceClient
from filelock import FileLock

from deploy.ports import free_ports
from tests.deploy.fetching.conftest import BUCKET, CONTENT, NAME

# Microsoft's emulator. Newer versions need a newer Node.js than Debian's.
AZURITE = "azurite@3.35.0"
ACCOUNT, KEY = "account", base64.b64encode(b"k" * 32).decode()
CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
PATIENCE = 120.0  # seconds


@dataclass
class Emulator:
    """scheme: of its addresses. variables: by which its clients find it."""

    scheme: str
    variables: dict[str, str]

    def put(self, name: str, content: bytes) -> None:
        raise NotImplementedError


class Azure(Emulator):
    def __init__(self, address: str) -> None:
        account = f"AccountName={ACCOUNT};AccountKey={KEY}"
        connection = f"DefaultEndpointsProtocol=http;{account};BlobEndpoint={address}/{ACCOUNT}"
        super().__init__("az", {CONNECTION: connection})
        client: Any = BlobServiceClient.from_connection_string(connection)
        self.container = client.create_container(BUCKET)

    def put(self, name: str, content: bytes) -> None:
        self.container.upload_blob(name, content, overwrite=True)


class Google(Emulator):
    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__("gs", {"STORAGE_EMULATOR_HOST": address})
        buckets = f"{address}/storage/v1/b?project=test"
        requests.post(buckets, json={"name": BUCKET}, timeout=30).raise_for_status()

    def put(self, name: str, content: bytes) -> None:
        address = f"{self.address}/upload/storage/v1/b/{BUCKET}/o"
        asked = {"uploadType": "media", "name": name}
        requests.post(address, params=asked, data=content, timeout=60).raise_for_status()


@contextmanager
def started(command: list[str | Path], port: int, folder: Path, **variables: str) -> Iterator[str]:
    """The address of a program that listens on this port."""
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=folder, env={**os.environ, **variables})
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE
    try:
        while True:
            try:
                requests.get(address, timeout=5)
                break
            except requests.RequestException:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def azure(folder: Path) -> Iterator[Azure]:
    [port] = free_ports(1)
    options = ["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--blobHost", "127.0.0.1"]
    command: list[str | Path] = ["node", azurite(), *options, "--blobPort", str(port)]
    with started(command, port, folder, AZURITE_ACCOUNTS=f"{ACCOUNT}:{KEY}") as address:
        yield filled(Azure(address))


@contextmanager
def google(folder: Path) -> Iterator[Google]:
    [port] = free_ports(1)
    options = ["start", "--host", "127.0.0.1", "--port", str(port), "--in-memory"]
    command: list[str | Path] = [sys.executable, "-c", "from gcp_storage_emulator.__main__ import main; main()"]
    with started([*command, *options], port, folder) as address:
        yield filled(Google(address))


def filled(emulator: Any) -> Any:
    emulator.put(f"a/{NAME}", CONTENT)
    return emulator


def azurite() -> Path:
    """Its program, which npm installs into our environment once. Without npm a test fails, as it checked nothing."""
    folder = Path(sys.prefix) / "azurite"
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            if shutil.which("npm") is None:
                pytest.fail("Azurite needs Node.js and npm, which are not installed", pytrace=False)
            with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
                quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
                made = Path(temporary, "azurite")
                command = ["npm", "install", "--prefix", str(made), *quiet, AZURITE]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    pytest.fail(f"npm cannot install {AZURITE}: {done.stderr[-500:]}", pytrace=False)
                made.rename(folder)
    return folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
