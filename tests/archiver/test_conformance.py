"""The same files packed by torch-model-archiver: the same members, and the same manifest but for the date."""

import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

from archiver.mar import CONFIGURATION, MANIFEST
from tests.deploy.stock_archives import ARCHIVER


def test_torch_model_archiver_packs_the_same(tiny_archive: Callable[[str], Path], tmp_path: Path) -> None:
    unpacked, store = tmp_path / "unpacked", tmp_path / "store"
    store.mkdir()
    with zipfile.ZipFile(tiny_archive("tiny-image")) as ours:
        names, manifest = ours.namelist(), json.loads(ours.read(MANIFEST))
        ours.extractall(unpacked, [name for name in names if name != MANIFEST])
    options = {
        "model-name": "tiny-image",
        "version": manifest["model"]["modelVersion"],
        "handler": unpacked / "entry.py",
        "config-file": unpacked / CONFIGURATION,
        "extra-files": unpacked,
        "export-path": store,
    }
    arguments = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    subprocess.run([str(ARCHIVER), *arguments], check=True)
    with zipfile.ZipFile(store / "tiny-image.mar") as theirs:
        assert sorted(theirs.namelist()) == sorted(names)
        found = json.loads(theirs.read(MANIFEST))
    assert list(found) == list(manifest)
    assert found | {"createdOn": ""} == manifest | {"createdOn": ""}
