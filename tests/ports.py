"""Ports for the servers of tests."""

import socket

from deploy.ports import HOST, Ports


def free_ports() -> Ports:
    """Five ports nobody listens on."""
    sockets = [socket.socket() for _ in range(5)]
    for each in sockets:
        each.bind((HOST, 0))
    numbers = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return Ports(*numbers)
