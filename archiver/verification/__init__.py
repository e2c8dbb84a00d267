"""Loads an archive as a server does, and checks its answers."""
