"""Keeps a server running: restarts TorchServe when it has ended, and replaces workers that it has lost track of."""
