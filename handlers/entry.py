"""The module that TorchServe imports from an archive; its one class runs the handler named in model-config.yaml.

TorchServe wants a module at the archive's root with exactly one class in it, and hides the cause of an ImportError
raised while that module loads, so this one imports nothing of ours before `initialize`.
"""

import os
from importlib import import_module
from typing import Any


class Entry:
    def __init__(self) -> None:
        self.handler: Any = None

    def initialize(self, context: Any) -> None:
        self.see_one_gpu(context.system_properties)
        settings = context.model_yaml_config["handler"]
        if context.model_name.endswith(".explain"):  # registered a second time, for its explanations
            settings = settings.get("explain")
            if settings is None:
                raise ValueError(
                    "this archive has no explanations: its task has none, or it was built before they existed"
                )
        import_module("handlers.torchserve.bytecode").share(context.system_properties["model_dir"])
        module, _, name = settings["class"].rpartition(".")
        self.handler = getattr(import_module(module), name)()
        self.handler.initialize(context)
        import_module("handlers.torchserve.frame_reader").install(context)

    def see_one_gpu(self, properties: dict[str, Any]) -> None:
        """If `deploy` names several GPUs, or slices of them, make only this worker's visible, as number 0.

        This has to come before the first import that queries CUDA. A process sees at most one slice of a GPU, and code
        that names no number must not land on another worker's GPU. A worker that replaces this one does the same with
        `assigned_gpu`, TorchServe's number.
        """
        devices, number = os.environ.get("BUNDLE_GPUS"), properties.get("gpu_id")
        if devices and number is not None and int(number) >= 0:
            os.environ["CUDA_VISIBLE_DEVICES"] = devices.split(",")[int(number)]
            properties.update(gpu_id=0, assigned_gpu=number)

    def handle(self, data: Any, context: Any) -> list[bytes]:
        return self.handler.handle(data, context)
