"""The ports of a server, its status and its edge."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass, fields
from pathlib import Path

from deploy.errors import DeployError

HOST = "127.0.0.1"
EDGE = ("status", "edge", "edge_stats")
LOWEST = 10000  # of the ports that are chosen; well-known servers are below
USUAL = 32768  # where Linux lets the range of outgoing connections begin


@dataclass(frozen=True)
class Ports:
    inference: int = 8080
    management: int = 8081
    metrics: int = 8082
    grpc: int = 7070
    grpc_management: int = 7071
    status: int = 9100
    edge: int = 8443
    edge_stats: int = 9902

    @classmethod
    def shifted(cls, offset: int) -> Ports:
        """The usual ports plus `offset`, for a second server on one machine."""
        usual = cls()
        return cls(*(getattr(usual, field.name) + offset for field in fields(cls)))

    @classmethod
    def free(cls) -> Ports:
        """Ports nobody listens on, for a server beside others."""
        return cls(*free_ports(len(fields(cls))))

    def check_free(self, edge: bool = False) -> None:
        """DeployError naming the first port in use, and by whom where that can be seen. edge: the edge's as well."""
        for field in fields(self):
            port = getattr(self, field.name)
            if field.name in EDGE and not edge:
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
    """Different ports nobody listens on.

    The system gives its own choice, port 0, from the range of outgoing connections, and any of those may take such a
    port before a server that is slow to start binds it; so these are from below that range.
    """
    first, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()
    numbers = range(LOWEST, max(int(first), USUAL))  # a machine may give out all of them
    chance = random.SystemRandom()  # two processes that were seeded alike would choose the same ports
    chosen = [port for port in chance.sample(numbers, min(len(numbers), 20 * count)) if is_free(port)][:count]
    if len(chosen) < count:
        raise DeployError(f"no {count} free ports between {LOWEST} and {numbers.stop - 1}")
    return chosen


def holder(port: int) -> str:
    """Text to append, " by NAME (pid N)", for the process that listens on a port; empty if it cannot be seen."""
    try:
        import psutil  # only here: `doctor` asks about ports before anything is installed
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
