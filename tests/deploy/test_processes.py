"""A process is waited for until it has ended, whether or not its parent has asked for its status."""

import subprocess
import time

import psutil

from deploy.processes import wait_ended


def test_a_zombie_has_ended() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        process = psutil.Process(child.pid)
        child.kill()
        began = time.monotonic()
        wait_ended(process, 30)
        assert time.monotonic() - began < 10
        assert process.status() == psutil.STATUS_ZOMBIE
    wait_ended(process, 30)


def test_one_that_goes_on_is_waited_for() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        began = time.monotonic()
        wait_ended(psutil.Process(child.pid), 0.3)
        assert time.monotonic() - began >= 0.3
        child.kill()
