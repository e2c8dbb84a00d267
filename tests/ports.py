"""Ports for the servers of tests."""

import socket
from dataclasses import fields

from deploy.ports import HOST, Ports


def free_ports() -> Ports:
    """Ports nobody listens on."""
    sockets = [socket.socket() for _ in range(len(fields(Ports)))]
    for each in sockets:
        each.bind((HOST, 0))
    numbers = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return Ports(*numbers)
