"""Errors that keep a server from starting; each message is one clear line."""

from __future__ import annotations


class DeployError(Exception):
    pass
