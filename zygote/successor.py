"""Takes over from a worker that has ended: uses its connection to TorchServe and continues its batch.

Run by keeper.py as a fork of the warm process, with the arguments of TorchServe's own worker.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
from typing import Any

from ts.arg_parser import ArgParser

# The first message that is read replaces it with the handlers' own reader.
from ts.model_service_worker import TorchModelServiceWorker, retrieve_msg


def main() -> None:
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
    print(f"[PID]{os.getpid()}", flush=True)  # TorchServe takes it from there
    connection = socket.socket(fileno=json.loads(os.environ["ZYGOTE_FILES"])[-1])
    load: dict[str, Any] = json.loads(os.environ["ZYGOTE_PLAN"])["load"]
    given = ArgParser.model_service_worker_args().parse_args()
    worker = TorchModelServiceWorker(given.sock_type, given.sock_name, given.host, given.port, given.metrics_config)
    encoded = {name: value.encode() if isinstance(value, str) else value for name, value in load.items()}
    service, said, code = worker.load_model({name: value for name, value in encoded.items() if value is not None})
    if code != 200:
        raise RuntimeError(f"{code}: {said}")
    service.set_cl_socket(connection)
    while True:
        _, batch = retrieve_msg(connection)
        connection.sendall(service.predict(batch))


if __name__ == "__main__":
    sys.path.remove(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120 - an archive's modules have other names
    main()
