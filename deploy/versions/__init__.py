"""Manages the versions of a running server's models."""
