"""Why something is not trusted."""

from __future__ import annotations


class SignatureError(Exception):
    """A key or a signature that cannot be used, or a file that is not the one that was signed: one clear line."""


class PasswordRequired(SignatureError):
    """A private key that is encrypted, read without a password."""
