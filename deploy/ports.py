"""The ports of a server, its status and its edge."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass, fields
from pathlib import Path

from deploy.errors import DeployError

HOST = "127.0.0.1"
EDGE = ("edge", "edge_stats")
STATUS = ("status", "open_inference")
LOWEST = 10000  # lowest port that is chosen; well-known servers use lower ones
USUAL = 32768  # where the range of outgoing connections begins on Linux


@dataclass(frozen=True)
class Ports:
    inference: int = 8080
    management: int = 8081
    metrics: int = 8082
    grpc: int = 7070
    grpc_management: int = 7071
    status: int = 9100
    open_inference: int = 8001
    edge: int = 8443
    edge_stats: int = 9902

    @classmethod
    def shifted(cls, offset: int) -> Ports:
        """The usual ports plus `offset`, for a second server on one machine."""
        usual = cls()
        return cls(*(getattr(usual, field.name) + offset for field in fields(cls)))

    @classmethod
    def free(cls) -> Ports:
        """Free ports, for a server beside others."""
        return cls(*free_ports(len(fields(cls))))

    def check_free(self, status: bool = False, edge: bool = False) -> None:
        """Raises DeployError with the first port in use, and its owner if known. status, edge: whether to check theirs
        as well, which stay in use while TorchServe is restarted."""
        for field in fields(self):
            port = getattr(self, field.name)
            if (field.name in EDGE and not edge) or (field.name in STATUS and not status):
                continue
            if not is_free(port):
                raise DeployError(f"port {port} ({field.name}) is in use{holder(port)}")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Different free ports.

    They are below the range of outgoing connections, from which the system chooses for port 0: any outgoing connection
    could take such a port before a server that is slow to start binds it.
    """
    first, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
    numbers = range(LOWEST, max(int(first), USUAL))  # on some machines that range contains all ports
    chance = random.SystemRandom()  # processes with the same seed would choose the same ports
    chosen = [port for port in chance.sample(numbers, min(len(numbers), 20 * count)) if is_free(port)][:count]
    if len(chosen) < count:
        raise DeployError(f"no {count} free ports between {LOWEST} and {numbers.stop - 1}")
    return chosen


def holder(port: int) -> str:
    """Text to append, " by NAME (pid N)", for the process that listens on a port; "" if unknown."""
    try:
        import psutil  # imported here, because `doctor` checks ports before anything is installed
    except ModuleNotFoundError:
        return ""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""
