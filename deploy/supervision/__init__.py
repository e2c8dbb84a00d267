"""Keeps a server running: starts TorchServe again when it has ended, and workers that it has lost sight of."""
