"""Each row of docs/formats.md by its printed command, in a clone of this checkout, with one server for all of them.

    python -m tests.archiver.formats_page [FOLDER]

The clone has its own store, run folder and ports; it needs about 2 GB of disk, some of which FOLDER can provide. The
rows are printed as the page has them. Exit status 1: where an answer is not the library's.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from client import RestClient
from deploy.errors import DeployError
from deploy.ports import Ports
from deploy.run_folder import public_server
from tests.archiver.formats_page.cases import CASES
from tests.archiver.formats_page.page import alike, row_of
from tests.handlers.vision.served import PROJECT


def run(folder: Path, command: str) -> None:
    subprocess.run(shlex.split(command), cwd=folder, check=True, stdout=subprocess.DEVNULL)


def free_offset() -> int:
    """By which all ports of a server are free."""
    while True:
        offset = Ports.free().inference - Ports().inference
        try:
            Ports.shifted(offset).check_free(status=True)
        except DeployError:
            continue
        return offset


@torch.inference_mode()
def main(root: Path) -> int:
    checkout = root / "checkout"
    run(root, f"git clone -q --shared {PROJECT} {checkout}")
    (checkout / ".venv").symlink_to(PROJECT / ".venv")
    libraries = []
    for case in CASES:
        folder = checkout / "weights" / case.name
        folder.mkdir(parents=True)
        torch.manual_seed(0)
        libraries.append(case.make(folder))
        where = case.arguments.replace("FOLDER", f"{folder}/FOLDER").replace("weights.", f"{folder}/weights.", 1)
        run(checkout, f"./bundle new {case.name} --weights {where}")
    names = " ".join(case.name for case in CASES)
    run(checkout, f"./bundle build {names}")
    wrong = 0
    try:
        run(checkout, f"./bundle serve {names} --detach --port-offset {free_offset()}")
        with RestClient(public_server(checkout / ".run")) as client:
            for case, library in zip(CASES, libraries, strict=True):
                sent = case.request
                answer = client.predict(
                    case.name, sent.body, content_type=sent.content_type, parameters=sent.parameters
                ).json()
                ours, theirs = case.read(answer), library()
                print(row_of(case, ours, theirs), "" if alike(ours, theirs) else "DIFFERS", flush=True)
                wrong += not alike(ours, theirs)
    finally:
        run(checkout, "./bundle stop")
    return int(bool(wrong))


if __name__ == "__main__":
    with TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as temporary:
        raise SystemExit(main(Path(temporary)))
