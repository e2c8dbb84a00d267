"""The ports of a server, its status and its edge."""

from __future__ import annotations

import socket
from dataclasses import dataclass, fields

import psutil

from deploy.errors import DeployError

HOST = "127.0.0.1"
EDGE = ("status", "edge", "edge_stats")


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

    def check_free(self, edge: bool = False) -> None:
        """DeployError naming the first port in use, and by whom where that can be seen. edge: the edge's as well."""
        for field in fields(self):
            port = getattr(self, field.name)
            if field.name in EDGE and not edge:
                continue
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError:
                    raise DeployError(f"port {port} ({field.name}) is in use{holder(port)}") from None


def holder(port: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""
