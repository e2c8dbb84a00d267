"""The form of an artifact's `preprocessing` by task, which the build and the worker check alike."""
