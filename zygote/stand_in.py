"""Takes the place of an interpreter: `python -I -S stand_in.py SCRIPT ARGUMENT…`; standard library only.

It runs the script as a fork of the warm process. If there is none, or the arguments do not name a plain script, it
becomes an interpreter. A TorchServe worker gets a keeper.
"""

from __future__ import annotations

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))  # noqa: PTH120 - pathlib takes longer

from zygote.client import INTERPRETER, SOCKET, VARIABLES, Job, Unreachable
from zygote.keeper import Keeper

WORKER = "model_service_worker.py"


def main() -> int:
    address = os.environ.pop(SOCKET, "")
    os.environ.pop(INTERPRETER, None)
    for name, value in json.loads(os.environ.pop(VARIABLES, "{}")).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    arguments = sys.argv[1:]
    try:
        if not arguments or arguments[0].startswith("-"):
            raise Unreachable("no script is named")
        folder = os.getcwd()  # noqa: PTH109
        if os.path.basename(arguments[0]) == WORKER:  # noqa: PTH119
            status = Keeper(address, arguments, folder, os.environ).run()
        else:
            status = Job(address, arguments, folder, os.environ).wait()
    except Unreachable as error:
        print(f"zygote: {error}; a fresh interpreter takes over", file=sys.stderr, flush=True)
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
