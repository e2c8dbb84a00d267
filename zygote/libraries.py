"""The libraries that a worker imports, by its archive's task: what the warm process imports before it forks.

Each entry is a module, or a file that imports one in a special way. None may start a thread, which would be missing
after a fork: onnxruntime starts none without its telemetry, which the environment of workers switches off.
TorchServe's base handler is not among them, because it asks CUDA at once.
"""

from __future__ import annotations

from pathlib import Path

# The way workers import torchvision. An archive has its own copy of this file, which then has nothing left to do.
LEAN_TORCHVISION = str(Path(__file__).parent.parent / "handlers" / "vision" / "lean_torchvision.py")
# For every worker: what TorchServe and the handlers' base class import.
EVERY = (
    "torch",
    "numpy",
    "numpy.random",
    "numpy.typing",
    "onnxruntime",
    "orjson",
    "packaging.version",
    "safetensors.torch",
    "ts.arg_parser",
    "ts.async_service",
    "ts.handler_utils.timer",
    "ts.metrics.metric_cache_yaml_impl",
    "ts.model_loader",
    "ts.protocol.otf_message_handler",
)
IMAGES = ("PIL.Image", LEAN_TORCHVISION)
SOUND = ("soundfile", "torchaudio.transforms")
TEXTS = ("transformers", "transformers.models.auto.tokenization_auto")
# For every worker if requests are traced. Their threads start with the worker's own exporter.
TRACING = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter", "requests")
OF_TASKS = {
    "image-classification": IMAGES,
    "image-embedding": IMAGES,
    "zero-shot-image-classification": (*IMAGES, *TEXTS),
    "object-detection": IMAGES,
    "instance-segmentation": (*IMAGES, "pycocotools.mask"),
    "semantic-segmentation": (*IMAGES, "pycocotools.mask"),
    "keypoint-detection": IMAGES,
    "depth-estimation": IMAGES,
    "audio-classification": SOUND,
    "audio-embedding": SOUND,
    "voice-activity": SOUND,
    "speech-recognition": (*SOUND, *TEXTS),
    "text-classification": TEXTS,
    "text-embedding": TEXTS,
    "token-classification": TEXTS,
    "question-answering": TEXTS,
    "text-generation": TEXTS,
}


IN_ORDER = (*EVERY, *IMAGES, "pycocotools.mask", *SOUND, *TEXTS)


def libraries(*tasks: str) -> tuple[str, ...]:
    """The modules that workers of these tasks import; for an unknown task, those of every worker."""
    wanted = {*EVERY, *(name for task in tasks for name in OF_TASKS.get(task, ()))}
    return tuple(name for name in IN_ORDER if name in wanted)
