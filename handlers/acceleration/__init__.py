"""The fastest form of a model on this machine whose answers stay the same."""
