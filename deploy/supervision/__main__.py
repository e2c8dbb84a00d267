"""`python -m deploy.supervision`: the process that `serve` leaves running beside TorchServe."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from deploy.errors import DeployError
from deploy.processes import birth
from deploy.supervision.process import LOG, STARTED, from_line
from deploy.supervision.record import Record


def main() -> int:
    """Start the server that standard input describes, and stay with it."""
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    server = from_line(sys.stdin.readline())
    try:
        server.start()
    except (DeployError, OSError) as error:
        print(error, flush=True)
        return 1
    record = Record(server.run, os.getpid(), birth(os.getpid()))
    record.write()  # by which `stop` finds this process
    print(STARTED, flush=True)
    # From here on nobody may read the output, so it goes to the log.
    log = os.open(server.run / "logs" / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    from deploy.supervision.supervisor import Supervisor  # half a second of imports, while Java starts

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    supervisor = Supervisor(server, record, asked)
    threading.Thread(target=supervisor.listen, daemon=True).start()
    if server.admission:
        server.admission.watch(asked, logging.info)
    try:
        supervisor.watch()
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
