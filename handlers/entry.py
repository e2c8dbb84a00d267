"""What TorchServe imports from an archive: its one class reads which handler to run from model-config.yaml.

TorchServe wants a module at the archive's root with exactly one class in it, and hides the cause of an ImportError
raised while that module loads; so nothing is imported here before `initialize`.
"""

from importlib import import_module
from typing import Any


class Entry:
    def __init__(self) -> None:
        self.handler: Any = None

    def initialize(self, context: Any) -> None:
        module, _, name = context.model_yaml_config["handler"]["class"].rpartition(".")
        self.handler = getattr(import_module(module), name)()
        self.handler.initialize(context)
        import_module("handlers.torchserve.frame_reader").install(context)

    def handle(self, data: Any, context: Any) -> list[bytes]:
        return self.handler.handle(data, context)
