"""Loads weights of every format. Nothing here unpickles, and an artifact's weights are checked before they are read.

Each format imports what it needs when it is loaded: a worker has one, and starts sooner without the others' imports.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from handlers.artifact import Artifact, LoadError
from handlers.formats import pretrained

# By task, the classes of transformers that can build a folder's network; the first that knows its architecture does.
AUTO_CLASSES = {
    "image-classification": ("AutoModelForImageClassification",),
    "object-detection": ("AutoModelForObjectDetection",),
    "semantic-segmentation": ("AutoModelForSemanticSegmentation", "AutoModelForUniversalSegmentation"),
    "image-embedding": ("AutoModel",),
    "zero-shot-image-classification": ("AutoModelForZeroShotImageClassification",),
    "depth-estimation": ("AutoModelForDepthEstimation",),
    "audio-classification": ("AutoModelForAudioClassification",),
    "audio-embedding": ("AutoModel",),
    "speech-recognition": ("AutoModelForCTC", "AutoModelForSpeechSeq2Seq"),
    "text-classification": ("AutoModelForSequenceClassification",),
    "text-embedding": ("AutoModel",),
    "token-classification": ("AutoModelForTokenClassification",),
    "question-answering": ("AutoModelForQuestionAnswering",),
    "text-generation": ("AutoModelForCausalLM",),
}


def load_model(artifact: Artifact, device: torch.device) -> nn.Module:
    """The artifact's model on `device`, in evaluation mode, without gradients. Raises LoadError."""
    try:
        match artifact.format:
            case "safetensors":
                model = from_safetensors(artifact)
            case "torchscript":
                return torch.jit.load(artifact.weights, map_location=device).eval()
            case "onnx":
                return from_onnx(artifact, device)
            case "torch-export":
                return from_export(artifact, device)
            case _:
                model = from_huggingface(artifact, device)
        return model.to(device).eval().requires_grad_(False)
    except LoadError:
        raise
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        # Each library raises its own types for a file it cannot read; the worker's log has the cause.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise LoadError(f"{artifact.path.name}: {lines[0][:300]}") from error


def from_safetensors(artifact: Artifact) -> nn.Module:
    """Build the architecture from its dotted factory and load the weights into it."""
    from handlers.formats.architecture import build
    from handlers.networks.weights import load_weights

    if artifact.architecture is None:
        raise LoadError("the safetensors format needs architecture: {factory, arguments}")
    model = build(artifact.architecture, artifact.weights.parent.parent)
    load_weights(model, artifact.weights)
    return model


def from_export(artifact: Artifact, device: torch.device) -> nn.Module:
    from torch.export.passes import move_to_device_pass

    from handlers.formats.torch_export import without_samples

    program = torch.export.load(without_samples(artifact.weights))
    if device.type != "cpu":
        program = move_to_device_pass(program, device)
    program.example_inputs = inputs_of(program)
    model = program.module().requires_grad_(False)
    # It was exported for evaluation, and its train() and eval() raise, even when called through a parent module.
    vars(model).update(train=lambda mode=False: model, eval=lambda: model)
    size = batch_of(program)
    if size is None:
        return model
    from handlers.acceleration.fixed_batch import FixedBatch

    return FixedBatch(model, size)


def batch_of(program: torch.export.ExportedProgram) -> int | None:
    """The fixed batch size of a program with one input; None if it takes any size or has other inputs."""
    arguments, keywords = cast("tuple[tuple[Any, ...], dict[str, Any]]", program.example_inputs or ((), {}))
    if len(arguments) != 1 or keywords or not isinstance(arguments[0], torch.Tensor) or not arguments[0].ndim:
        return None
    size = arguments[0].shape[0]
    return size if isinstance(size, int) else None


def from_onnx(artifact: Artifact, device: torch.device) -> nn.Module:
    from handlers.acceleration.onnx_model import OnnxModel
    from handlers.formats.huggingface import TOKENIZED

    if artifact.task in TOKENIZED:
        raise LoadError(f"the onnx format is not for {artifact.task}, whose models need a tokenizer beside them")
    return OnnxModel(artifact.weights, torch.get_num_threads(), device)


def inputs_of(program: torch.export.ExportedProgram) -> tuple[Any, Any]:
    """Inputs of the program's own shapes, without memory, in place of the pickled ones: with their names, torch checks
    inputs by guards, which can be traced, rather than by a hook, which cannot."""
    from torch.utils._pytree import tree_unflatten

    values = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    inputs = [values.get(name, name) for name in program.graph_signature.user_inputs]  # a constant stands for itself
    arguments, keywords = tree_unflatten(inputs, program.call_spec.in_spec)
    return arguments, keywords


def from_huggingface(artifact: Artifact, device: torch.device) -> nn.Module:
    """Load by transformers' Auto class of the task, from the folder alone: no hub, no code shipped with the weights.

    On a GPU, weights keep their type if the inputs are tokens or are rounded to it. Others become float32, as images
    and waveforms are; `handlers.acceleration.precision` rounds them again where the answers stay the same. On a CPU,
    all become float32, because bfloat16 and float16 are slow or emulated there.
    """
    import transformers  # takes seconds

    import handlers.networks.mean_pooling  # noqa: F401 - registers our own architecture with the Auto classes
    from handlers.formats.huggingface import TEXTS
    from handlers.formats.model_size import bounded

    if artifact.task not in AUTO_CLASSES:
        raise LoadError(f"the huggingface format is for {', '.join(AUTO_CLASSES)}; not for {artifact.task}")
    config = pretrained.read(transformers.AutoConfig, artifact.weights, "configuration")
    classes = [getattr(transformers, name) for name in AUTO_CLASSES[artifact.task]]
    auto = next((auto for auto in classes if type(config) in auto._model_mapping), classes[0])
    keeps = device.type != "cpu" and artifact.task in (*TEXTS, "speech-recognition")
    model: nn.Module
    with bounded(artifact.weights):
        model, report = auto.from_pretrained(
            artifact.weights,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype="auto" if keeps else torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, with a message
        )
    if mismatched := sorted(report["mismatched_keys"]):
        name, ours, theirs = mismatched[0]
        raise LoadError(
            f"{artifact.weights.name}: {name} has the shape {list(ours)}; by config.json it has {list(theirs)}, and "
            f"{len(mismatched) - 1} more differ; wanted the config.json of these weights"
        )
    if missing := sorted(report["missing_keys"]):
        # transformers would initialise them at random, as for training, and only warn.
        raise LoadError(
            f"{artifact.weights.name}: has no weights for {missing[0]} and {len(missing) - 1} more of "
            f"{type(model).__name__}; wanted a model trained for {artifact.task}"
        )
    return model


def channels_last(model: nn.Module) -> nn.Module:
    """Convolutions over images run faster on weights in this order, on CPUs and GPUs alike."""
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
